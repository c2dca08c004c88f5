package agent

import (
	"context"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// Unlocker is a store that a passphrase opens. Unlock returns a
// *provider.StoreError if it is the wrong one.
type Unlocker interface {
	Unlock(ctx context.Context, passphrase secret.Text) error
	// NeedsPassphrase reports whether a passphrase is what opens the store, and
	// whether it has been chosen: by the first Unlock.
	NeedsPassphrase() (needs, set bool)
}

// Unlock opens the file store. Where no passphrase has been chosen yet, it
// fails with CodePassphraseNotSet unless choose is set: a slip of the fingers
// must not become the passphrase.
func (a *Agent) Unlock(ctx context.Context, passphrase secret.Text, choose bool) error {
	store, ok := a.Stores[provider.File].(Unlocker)
	if !ok {
		return errorf(ipc.CodeBadRequest, "", "there is no store to unlock")
	}
	if passphrase.IsZero() {
		return errorf(ipc.CodeBadRequest, "type it, or give it with --passphrase-file", "the passphrase is empty")
	}
	if needs, set := store.NeedsPassphrase(); needs && !set && !choose {
		return errorf(ipc.CodePassphraseNotSet, "cspctl unlock", "the file store has no passphrase yet")
	}
	if err := store.Unlock(ctx, passphrase); err != nil {
		return wireError(err, "")
	}
	a.rouse()
	return nil
}
