package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/cspctl/cspctl/internal/provider"
)

// What the leaf says of a provider is what its client does.
func TestTellsDetails(t *testing.T) {
	s := loadSettings(files{config: filepath.Join(t.TempDir(), "none.toml")}, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, p := range s.providers() {
		_, err := p.Details(ended, provider.Credential{})
		if silent := errors.Is(err, provider.ErrNoDetails); silent == provider.TellsDetails(name) {
			t.Errorf("%s: %v, and TellsDetails says %v", name, err, !silent)
		}
	}
	if len(s.providers()) < 4 {
		t.Errorf("only %d providers", len(s.providers()))
	}
}
