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
}

// Unlock opens the file store.
func (a *Agent) Unlock(ctx context.Context, passphrase secret.Text) error {
	store, ok := a.Stores[provider.File].(Unlocker)
	if !ok {
		return errorf(ipc.CodeBadRequest, "", "there is no store to unlock")
	}
	if passphrase.IsZero() {
		return errorf(ipc.CodeBadRequest, "type it, or give it with --passphrase-file", "the passphrase is empty")
	}
	if err := store.Unlock(ctx, passphrase); err != nil {
		return wireError(err, "")
	}
	a.rouse()
	return nil
}
