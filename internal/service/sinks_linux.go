package service

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cspctl/cspctl/internal/atomicfile"
)

const sinksFile = "sinks.conf"

func (m *Manager) sinks() string { return filepath.Join(m.dir, serviceUnit+".d", sinksFile) }

// writeSinks opens the sandbox for the folders of the settings in which files
// with tokens may be. Where a user's service has no sandbox, they are open.
func (m *Manager) writeSinks() error {
	if len(m.Writable) == 0 || m.Scope == User && !m.wantsSandbox() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(m.sinks()), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteMode(m.sinks(), []byte(sinksText(m.Writable)), 0o644)
}

// sinksText is the drop-in. A folder that is missing keeps no agent from
// starting ("-", see systemd.exec(5)).
func sinksText(dirs []string) string {
	var b strings.Builder
	b.WriteString(marker + "# The folders of [sinks] in the settings, as they were then.\n[Service]\n")
	for _, dir := range dirs {
		b.WriteString(`ReadWritePaths="-` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(dir) + "\"\n")
	}
	return b.String()
}

// dropOwnFolder removes the folder of the drop-ins, if nobody else has any.
func (m *Manager) dropOwnFolder() error {
	if err := os.Remove(filepath.Dir(m.sandbox())); err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotEmpty(err) {
		return err
	}
	return nil
}
