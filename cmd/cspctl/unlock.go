package main

import (
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

var unlockCommand = command{
	name:    "unlock",
	summary: "end a lock; give the file store its passphrase, or choose its first one",
	help: `
The passphrase ends what cspctl lock began. That of the file store also opens
the encrypted file in which profiles with --store file keep their secrets, until
the agent is locked or ends; there is no way to a secret in it without it.
It is asked for without echo, or read from a file or stdin. After a wrong one,
the next is looked at half a second later, twice as long each time, up to 30
seconds; until then cspctl fails at once, with exit 8.`,
	examples: "cspctl unlock\ncspctl unlock --passphrase-file - < passphrase",
	setup: func(fs *flag.FlagSet) runFunc {
		var file string
		fileVar(fs, &file, "passphrase-file", "read the passphrase from `FILE`, or from stdin (-)")
		return func(a *app, _ []string) error { return runUnlock(a, file) }
	},
}

func runUnlock(a *app, file string) error {
	if file != "" {
		passphrase, err := a.readSecret(file, "--passphrase-file", "passphrase", "")
		if err != nil {
			return err
		}
		return a.ownAgent().Call("POST", "/v1/unlock", ipc.UnlockRequest{Passphrase: passphrase, Choose: true}, nil)
	}
	c := a.ownAgent()
	// Without a passphrase, the agent says which one it needs.
	err := c.Call("POST", "/v1/unlock", ipc.UnlockRequest{}, nil)
	var passphrase secret.Wire
	req := ipc.UnlockRequest{}
	switch codeOf(err) {
	case "":
		if err == nil {
			a.note("nothing is locked")
		}
		return err
	case ipc.CodeLocked:
		passphrase, err = a.readSecret("", "--passphrase-file", "passphrase", "passphrase of the lock: ")
	case ipc.CodeStoreLocked:
		passphrase, err = a.readSecret("", "--passphrase-file", "passphrase", "passphrase of the file store: ")
	case ipc.CodePassphraseNotSet:
		passphrase, err = a.choosePassphrase("the file store has no passphrase yet; choose one: ")
		req.Choose = true
	}
	if err != nil {
		return err
	}
	req.Passphrase = passphrase
	return c.Call("POST", "/v1/unlock", req, nil)
}
