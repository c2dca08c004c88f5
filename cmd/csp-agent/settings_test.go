package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// P4: while the file can't be read, as in a home that hangs, what is in force
// answers whoever asks for it.
func TestP4SettingsThatCantBeReadKeepNobodyWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte("store = \"file\"\n[expiry]\nstages = [\"2d\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := loadSettings(files{config: path}, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	s.reader.Lock() // a reading that does not come back
	defer s.reader.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if bad := s.unusable(); bad != nil || s.store() != "file" || s.allowRoot() || len(s.stages("prod")) != 2 || !s.desktop("prod") ||
			len(s.hook().Command) != 0 || len(s.sockets()) != 0 || s.status().Error != "" {
			t.Errorf("%v, %q, %v", bad, s.store(), s.stages("prod"))
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waited for the file")
	}
}
