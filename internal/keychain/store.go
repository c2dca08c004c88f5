// Package keychain is where secrets rest: the keychain of the operating
// system behind a guard, a file encrypted with age, and memory. The three keep
// the same document per profile and fail in the same words.
package keychain

import (
	"context"

	"github.com/cspctl/cspctl/internal/provider"
)

// Store keeps one credential per profile. Its methods may be called from any
// number of goroutines at once, and all of them end: with ctx, or with a
// deadline of the store's own.
type Store interface {
	// Get returns the credential of a profile: provider.ErrNoSecret if there is
	// none, a *provider.StoreError if the store can't be used. The credential's
	// CA is not filled in.
	Get(ctx context.Context, profile string, p provider.Prompt) (provider.Credential, error)

	// Put stores or replaces the credential of a profile. Once it returned
	// without an error, the credential is durable. It fails with a
	// *provider.StoreError.
	Put(ctx context.Context, profile string, c provider.Credential, p provider.Prompt) error

	// Delete forgets a profile. To delete what is not there is no error.
	Delete(ctx context.Context, profile string, p provider.Prompt) error

	// State tells the condition of the store, within a second or so. It never
	// prompts.
	State(ctx context.Context) provider.StoreState
}

func storeError(kind string, status provider.StoreStatus, detail, hint string, cause error) *provider.StoreError {
	return &provider.StoreError{
		State: provider.StoreState{Kind: kind, Status: status, Detail: detail, Hint: hint},
		Err:   cause,
	}
}

func unavailable(kind, detail, hint string, cause error) *provider.StoreError {
	return storeError(kind, provider.StoreUnavailable, detail, hint, cause)
}

func locked(kind, detail, hint string, cause error) *provider.StoreError {
	return storeError(kind, provider.StoreLocked, detail, hint, cause)
}
