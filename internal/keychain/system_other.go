//go:build darwin || windows

package keychain

import (
	"context"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/provider"
)

// library is the part of a system that needs nothing beside go-keyring.
type library struct{ name string }

func (l library) get(_ context.Context, profile string, _ provider.Prompt) (string, error) {
	return keyring.Get(l.name, profile)
}

func (l library) set(_ context.Context, profile, doc string, _ provider.Prompt) error {
	return keyring.Set(l.name, profile, doc)
}

func (l library) remove(_ context.Context, profile string, _ provider.Prompt) error {
	return keyring.Delete(l.name, profile)
}

// interrupt does nothing: go-keyring gives no way to stop a call.
func (library) interrupt() {}

func (library) close() {}
