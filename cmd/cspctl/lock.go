package main

import (
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

var lockCommand = command{
	name:    "lock",
	summary: "wipe every cached token, and give nothing out until unlocked",
	help: `
Cached access tokens and the key of the file store are wiped, exchanges under
way are ended, and whatever would give out or touch a secret fails with exit 8
until cspctl unlock. Status, expiry and warnings go on.
The passphrase of the file store unlocks the agent. Where no file store has
one, it is asked for here, twice, as ssh-add -x does, or read from a file or
stdin. It is good for this lock alone.
Nothing of the lock is on disk: an agent that is started again is unlocked,
since whoever can end it can read what it reads.`,
	examples: "cspctl lock\ncspctl lock --passphrase-file - < passphrase",
	setup: func(fs *flag.FlagSet) runFunc {
		var file string
		fileVar(fs, &file, "passphrase-file", "read the passphrase from `FILE`, or from stdin (-)")
		return func(a *app, _ []string) error { return runLock(a, file) }
	},
}

func runLock(a *app, file string) error {
	var passphrase secret.Wire
	var err error
	if file != "" {
		if passphrase, err = a.readSecret(file, "--passphrase-file", "passphrase", ""); err != nil {
			return err
		}
	}
	var r ipc.LockResult
	c := a.agent()
	err = c.Call("POST", "/v1/lock", ipc.LockRequest{Passphrase: passphrase}, &r)
	if codeOf(err) == ipc.CodePassphraseNotSet {
		if passphrase, err = a.choosePassphrase("passphrase to unlock with: "); err != nil {
			return err
		}
		err = c.Call("POST", "/v1/lock", ipc.LockRequest{Passphrase: passphrase}, &r)
	}
	switch {
	case err != nil:
		return err
	case r.Already:
		a.warn("the agent was locked already: what unlocks it is what did before", "")
	case r.UnlockedBy == ipc.UnlockedByStore && !passphrase.IsZero():
		a.warn("the passphrase of the file store unlocks the agent, and not the one given here", "")
	}
	return nil
}

// choosePassphrase asks for a new passphrase, twice.
func (a *app) choosePassphrase(question string) (secret.Wire, error) {
	passphrase, err := a.readSecret("", "--passphrase-file", "passphrase", question)
	if err != nil {
		return secret.Wire{}, err
	}
	again, err := a.readSecret("", "--passphrase-file", "passphrase", "once more: ")
	if err == nil && !again.Equal(passphrase.Text) {
		err = usage("the two passphrases differ", "nothing was changed; try again")
	}
	return passphrase, err
}
