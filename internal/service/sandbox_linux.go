package service

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/packaging/systemd"
)

// wantsSandbox reports whether the options that need user namespaces are added
// to the user's unit.
func (m *Manager) wantsSandbox() bool {
	if m.Strangers {
		m.say("without the part of its sandbox that needs a user namespace: the settings let other users in, whom it would not tell apart")
		return false
	}
	if !hasUserNamespaces() {
		m.say("without the part of its sandbox that needs user namespaces: this system forbids them")
		return false
	}
	return true
}

// hasUserNamespaces reports whether a program can be started in a user and a
// mount namespace of its own, and change mounts there: where AppArmor forbids
// only that, the first alone would succeed.
func hasUserNamespaces() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/true")
	uid, gid := os.Geteuid(), os.Getegid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWUSER,
		Unshareflags: syscall.CLONE_NEWNS, // after which the Go runtime remounts / as private
		UidMappings:  []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings:  []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
	}
	return cmd.Run() == nil
}

// Generate is a generator of the user's service manager
// (systemd.generator(7)): it adds the part of a package's sandbox that needs
// user namespaces, where they work, to the units of this boot. dir is the
// generator's first argument.
func Generate(dir string, strangers bool) error {
	m := &Manager{Options: Options{Strangers: strangers, Tell: func(string) {}}}
	if !m.wantsSandbox() {
		return nil
	}
	text, err := systemd.Units.ReadFile("user/" + sandboxFile)
	if err != nil {
		return err
	}
	drop := filepath.Join(dir, serviceUnit+".d")
	if err := os.MkdirAll(drop, 0o755); err != nil {
		return err
	}
	return atomicfile.WriteMode(filepath.Join(drop, sandboxFile), text, 0o644)
}
