package keychain

import (
	"context"
	"errors"
	"syscall"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/provider"
)

// credentialManager is the Windows Credential Manager. It knows no lock and no
// dialog, but belongs to a logon session: network logons (ssh) and services
// have none.
type credentialManager struct {
	library
	probing chan struct{} // held by the probe under way
}

func newSystem(service string) system {
	return credentialManager{library{service}, make(chan struct{}, 1)}
}

// probeName can't be a profile's.
const probeName = "*probe*"

// Errors of CredReadW and CredWriteW (wincred.h, winerror.h).
const (
	errorNoSuchLogonSession = syscall.Errno(1312)
	errorBadUsername        = syscall.Errno(2202)
	rpcServerUnavailable    = syscall.Errno(1722)
)

// probe implements system: it reads an item that does not exist.
func (c credentialManager) probe(ctx context.Context) provider.StoreState {
	const kind = provider.Keychain
	silent := unavailable(kind, "the Credential Manager does not answer", "log out and in again", nil).State
	select {
	case c.probing <- struct{}{}: // one at a time: a probe that hangs is not joined by others
	case <-ctx.Done():
		return silent
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-c.probing }()
		_, err := keyring.Get(c.name, probeName)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || errors.Is(err, keyring.ErrNotFound) {
			return provider.StoreState{Kind: kind, Status: provider.StoreReady, Detail: "the Windows Credential Manager"}
		}
		if e := c.explain(err); e != nil {
			return e.State
		}
		return unavailable(kind, "the Credential Manager failed: "+oneLine(err.Error()), "log out and in again", err).State
	case <-ctx.Done():
		return silent
	}
}

func (credentialManager) explain(err error) *provider.StoreError {
	switch {
	case errors.Is(err, errorNoSuchLogonSession), errors.Is(err, errorBadUsername), errors.Is(err, rpcServerUnavailable):
		return unavailable(provider.Keychain, "this logon session has no Credential Manager (ssh, or a service)",
			"run the agent in your desktop session", err)
	}
	return nil
}
