package main

import (
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

var unlockCommand = command{
	name:    "unlock",
	summary: "give the file store its passphrase, or choose its first one",
	help: `
The passphrase opens the encrypted file in which profiles with --store file keep
their secrets, until the agent ends. It is asked for without echo, or read from
a file or stdin. There is no way to a stored secret without it.`,
	examples: "cspctl unlock\ncspctl unlock --passphrase-file - < passphrase",
	setup: func(fs *flag.FlagSet) runFunc {
		var file string
		fileVar(fs, &file, "passphrase-file", "read the passphrase from `FILE`, or from stdin (-)")
		return func(a *app, _ []string) error { return runUnlock(a, file) }
	},
}

func runUnlock(a *app, file string) error {
	ask := func(question string) (secret.Wire, error) {
		return a.readSecret(file, "--passphrase-file", "passphrase", question)
	}
	passphrase, err := ask("passphrase of the file store: ")
	if err != nil {
		return err
	}
	c := a.ownAgent()
	req := ipc.UnlockRequest{Passphrase: passphrase, Choose: file != ""}
	err = c.Call("POST", "/v1/unlock", req, nil)
	if codeOf(err) != ipc.CodePassphraseNotSet {
		return err
	}
	again, err := ask("there is none yet; once more, to choose this one: ")
	if err != nil {
		return err
	}
	if !again.Equal(passphrase.Text) {
		return usage("the two passphrases differ", "nothing was changed; try again")
	}
	req.Choose = true
	return c.Call("POST", "/v1/unlock", req, nil)
}
