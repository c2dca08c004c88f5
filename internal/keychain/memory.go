package keychain

import (
	"context"
	"sync"

	"github.com/cspctl/cspctl/internal/provider"
)

// Memory is a store that ends with the process. It has no states: it is
// always ready, and never prompts.
type Memory struct {
	mu    sync.Mutex
	items map[string]string // documents, as in the other stores
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{items: map[string]string{}} }

// Get implements Store.
func (m *Memory) Get(_ context.Context, profile string, _ provider.Prompt) (provider.Credential, error) {
	m.mu.Lock()
	doc, ok := m.items[profile]
	m.mu.Unlock()
	if !ok {
		return provider.Credential{}, provider.ErrNoSecret
	}
	return openItem(provider.Memory, profile, doc)
}

// Put implements Store. It lasts as long as the process.
func (m *Memory) Put(_ context.Context, profile string, c provider.Credential, _ provider.Prompt) error {
	doc, err := encodeItem(provider.Memory, c)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items[profile] = doc
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, profile string, _ provider.Prompt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, profile)
	return nil
}

// State implements Store.
func (m *Memory) State(context.Context) provider.StoreState {
	return provider.StoreState{Kind: provider.Memory, Status: provider.StoreReady,
		Detail: "secrets are kept in the agent's memory, and are gone when it ends"}
}
