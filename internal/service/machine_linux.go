package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/packaging/systemd"
)

// What the system service has besides its units.
const (
	settingsDir = "/etc/csp-agent"
	storeKey    = settingsDir + "/store-key.cred"
	sysusers    = "sysusers.d/csp-agent.conf"
)

// prepareMachine makes the user and the group that the system service's units
// name, and the key of its store.
func (m *Manager) prepareMachine(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience) // a TPM may take its time
	defer cancel()
	users, err := systemd.Units.ReadFile(sysusers)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "systemd-sysusers", "-")
	cmd.Stdin = bytes.NewReader(users)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the user csp-agent and the group cspctl can't be made: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.MkdirAll(settingsDir, 0o755); err != nil {
		return err
	}
	_, err = os.Lstat(storeKey)
	switch {
	case err == nil:
		return nil // it opens the store that is there
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return m.sealKey(ctx)
}

// sealKey makes the key of the store as an encrypted credential: in plain text
// it is never on disk (systemd-creds(1)).
func (m *Manager) sealKey(ctx context.Context) error {
	key, err := m.NewKey()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "systemd-creds", "encrypt", "--name=cspctl-store-key", "-", "-")
	cmd.Stdin = bytes.NewReader(key)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the store's key can't be sealed (systemd-creds, of systemd 250 or later): %w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	if err := atomicfile.Write(storeKey, out.Bytes()); err != nil {
		return err
	}
	m.say("made the key of the store, sealed for this machine: %s", storeKey)
	return nil
}
