package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	kardianos "github.com/kardianos/service"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/packaging/systemd"
)

// platform is systemd's view of the service.
type platform struct {
	dir      string   // where units of one's own go
	packaged []string // where those of packages are
}

// The units, as Units names them below the scope's folder. kardianos/service
// writes the first; it knows no others.
const (
	serviceUnit = Name + ".service"
	socketUnit  = Name + ".socket"
	loginUnit   = Name + "-login.service"
	tokenSocket = Name + "-token.socket"
	sandboxFile = "sandbox.conf"
)

// marker is the first line of every file that Install writes: what has none is
// somebody else's.
const marker = "# Written by csp-agent install, and removed by csp-agent uninstall.\n"

func (m *Manager) folder() string {
	if m.Scope == System {
		return "system"
	}
	return "user"
}

// sockets are the units that start the agent when they are asked.
func (m *Manager) sockets() []string {
	if m.Scope == System {
		return []string{socketUnit, tokenSocket}
	}
	return []string{socketUnit}
}

// others are the units besides the service.
func (m *Manager) others() []string {
	if m.Scope == System {
		return m.sockets()
	}
	return append(m.sockets(), loginUnit)
}

func (m *Manager) prepare() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return fmt.Errorf("%w: this system is not run by systemd; without a service cspctl starts an agent by itself", ErrUnsupported)
	}
	home, err := os.UserHomeDir()
	switch {
	case m.Scope == System && os.Geteuid() != 0:
		return errors.New("the system's service is root's to change: sudo csp-agent ... --system")
	case m.Scope == System:
		m.dir = "/etc/systemd/system"
	case err != nil:
		return err
	case os.Getenv("SUDO_UID") != "" && os.Geteuid() == 0:
		return errors.New("as root this would be root's own service: run it without sudo, or with --system")
	default:
		m.dir = filepath.Join(home, ".config/systemd/user") // as kardianos/service has it
		// cron and su leave it out; kardianos/service runs systemctl, too.
		if err := os.Setenv("XDG_RUNTIME_DIR", runtimeDir()); err != nil {
			return err
		}
	}
	for _, d := range []string{"/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"} {
		m.packaged = append(m.packaged, filepath.Join(d, m.folder()))
	}
	return nil
}

// ofPackage returns the folder in which a package put the units, or "".
func (m *Manager) ofPackage() string {
	for _, dir := range m.packaged {
		if _, err := os.Stat(filepath.Join(dir, serviceUnit)); err == nil {
			return dir
		}
	}
	return ""
}

// own returns the paths of everything that Install may write below dir.
func (m *Manager) own() []string {
	var all []string
	for _, unit := range append(m.others(), serviceUnit) {
		all = append(all, filepath.Join(m.dir, unit))
	}
	return append(all, m.sandbox(), m.sinks())
}

func (m *Manager) sandbox() string { return filepath.Join(m.dir, serviceUnit+".d", sandboxFile) }

// installed reports whether the service is there, and by which file.
func (m *Manager) installed() (file string, ok bool) {
	file = filepath.Join(m.dir, serviceUnit)
	if _, err := os.Lstat(file); err == nil {
		return file, true
	}
	if dir := m.ofPackage(); dir != "" {
		return filepath.Join(dir, serviceUnit), true
	}
	return "", false
}

// clear removes what an earlier Install wrote: whole, half or of another
// version. What somebody else put there stays, and is an error.
func (m *Manager) clear() error {
	for _, file := range m.own() {
		b, err := os.ReadFile(file)
		info, statErr := os.Lstat(file)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			continue
		case statErr == nil && info.Mode().Type() == fs.ModeSymlink:
			if to, _ := os.Readlink(file); to == os.DevNull {
				return fmt.Errorf("%s is masked: %s", filepath.Base(file), m.command("unmask "+filepath.Base(file)))
			}
			return fmt.Errorf("%s is a link that is not of csp-agent's making: remove it", file)
		case err != nil:
			return err
		case len(b) > 0 && !strings.HasPrefix(string(b), marker):
			return fmt.Errorf("%s is not of csp-agent's making: move it away, or add what you need as a drop-in (%s)", file, m.command("edit "+Name))
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return m.dropOwnFolder()
}

// write writes the units.
func (m *Manager) write() (err error) {
	defer func() {
		if err != nil {
			_ = m.clear() // half a unit would be in the way of the next
		}
	}()
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	for _, unit := range m.others() {
		text, err := m.unit(unit)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteMode(filepath.Join(m.dir, unit), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if m.Scope == User && m.wantsSandbox() {
		text, err := m.unit(sandboxFile)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(m.sandbox()), 0o755); err != nil {
			return err
		}
		if err := atomicfile.WriteMode(m.sandbox(), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := m.writeSinks(); err != nil {
		return err
	}
	text, err := m.unit(serviceUnit)
	if err != nil {
		return err
	}
	k, err := m.kardianos(text)
	if err != nil {
		return err
	}
	return k.Install() // which enables it, and what it names with Also=
}

func (m *Manager) kardianos(unit string) (kardianos.Service, error) {
	return kardianos.New(nil, &kardianos.Config{
		Name: Name, Executable: m.Exe,
		Option: kardianos.KeyValue{"UserService": m.Scope == User, "SystemdScript": unit},
	})
}

// unit returns the text of a unit that starts this csp-agent.
func (m *Manager) unit(name string) (string, error) {
	b, err := systemd.Units.ReadFile(path.Join(m.folder(), name))
	if err != nil {
		return "", err
	}
	return marker + strings.ReplaceAll(string(b), "=/usr/bin/csp-agent ", "="+quote(m.Exe)+" "), nil
}

// quote writes a program's path for ExecStart= (systemd.service(5), Command
// Lines).
func quote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(path) + `"`
}

func (m *Manager) install(ctx context.Context) error {
	if err := m.reachable(ctx); err != nil {
		return err
	}
	restart := append(m.changedSockets(), serviceUnit)
	if err := m.clear(); err != nil {
		return err
	}
	if m.Scope == System {
		if err := m.prepareMachine(ctx); err != nil {
			return err
		}
	}
	if dir := m.ofPackage(); dir != "" {
		if err := m.writeSinks(); err != nil {
			return fmt.Errorf("the folders of the sinks can't be opened to the service: %w", err)
		}
		m.say("using the units in %s, which belong to a package", dir)
		if err := m.enable(ctx); err != nil {
			return err
		}
	} else {
		if err := m.write(); err != nil {
			return fmt.Errorf("the units can't be written: %w", err)
		}
		m.say("wrote %s and its socket to %s", serviceUnit, m.dir)
	}
	if _, err := m.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	// A service that runs belongs to another version, or to other units.
	if _, err := m.systemctl(ctx, append([]string{"try-restart"}, restart...)...); err != nil {
		return m.explain(ctx, err)
	}
	start := m.sockets()
	if m.Scope == System {
		start = append(start, serviceUnit)
	}
	if _, err := m.systemctl(ctx, append([]string{"start"}, start...)...); err != nil {
		return m.explain(ctx, err)
	}
	return nil
}

// changedSockets are the sockets that an earlier Install wrote otherwise. Others
// stay: clients wait at them.
func (m *Manager) changedSockets() (changed []string) {
	for _, unit := range m.sockets() {
		was, err := os.ReadFile(filepath.Join(m.dir, unit))
		if now, _ := m.unit(unit); err == nil && string(was) != now {
			changed = append(changed, unit)
		}
	}
	return changed
}

// enable makes systemd start a package's units, unless it is to do so for all
// users already.
func (m *Manager) enable(ctx context.Context) error {
	for _, unit := range m.sockets() {
		if state, _ := m.systemctl(ctx, "is-enabled", unit); state != "enabled" {
			_, err := m.systemctl(ctx, "enable", serviceUnit)
			return err
		}
	}
	return nil
}

func (m *Manager) uninstall(ctx context.Context) error {
	file, ok := m.installed()
	if !ok {
		// What is left of an installation that failed is removed all the same.
		if err := m.clear(); err != nil {
			return err
		}
		return ErrNotInstalled
	}
	if err := m.reachable(ctx); err != nil {
		return err
	}
	if _, err := m.systemctl(ctx, append([]string{"stop"}, append(m.sockets(), serviceUnit)...)...); err != nil {
		return err
	}
	if filepath.Dir(file) == m.dir {
		k, err := m.kardianos("")
		if err != nil {
			return err
		}
		if err := k.Uninstall(); err != nil {
			m.say("kardianos/service: %v", err)
		}
	}
	if _, err := m.systemctl(ctx, "disable", "--quiet", serviceUnit); err != nil && m.ofPackage() != "" {
		return err
	}
	if err := m.clear(); err != nil {
		return err
	}
	if _, err := m.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	_, _ = m.systemctl(ctx, append([]string{"reset-failed"}, append(m.others(), serviceUnit)...)...) // none is loaded: an error
	m.tidy()
	if dir := m.ofPackage(); dir != "" {
		m.say("the units in %s belong to a package: remove that, or %s", dir, m.command("mask "+socketUnit+" "+loginUnit))
	}
	return nil
}

// tidy removes what a service leaves in its runtime directory, and the folders
// that are empty now.
func (m *Manager) tidy() {
	run := "/run/" + Name
	if m.Scope == User {
		run = filepath.Join(runtimeDir(), Name)
	}
	locks, _ := filepath.Glob(filepath.Join(run, "*.lock"))
	for _, file := range locks {
		_ = os.Remove(file)
	}
	_ = os.Remove(run)
	if m.Scope == User {
		_ = os.Remove(m.dir)
		_ = os.Remove(filepath.Dir(m.dir))
	}
}

func (m *Manager) control(ctx context.Context, verb string) error {
	if _, ok := m.installed(); !ok {
		return ErrNotInstalled
	}
	if err := m.reachable(ctx); err != nil {
		return err
	}
	units := append(m.sockets(), serviceUnit)
	if verb == "restart" {
		// The sockets stay: clients wait for the agent instead of failing.
		if _, err := m.systemctl(ctx, append([]string{"start"}, m.sockets()...)...); err != nil {
			return m.explain(ctx, err)
		}
		units = []string{serviceUnit}
	}
	if _, err := m.systemctl(ctx, append([]string{verb}, units...)...); err != nil {
		return m.explain(ctx, err)
	}
	return nil
}

func (m *Manager) status(ctx context.Context) (Status, error) {
	file, ok := m.installed()
	if !ok {
		return Status{State: NotInstalled}, nil
	}
	st := Status{State: Stopped, File: file}
	if err := m.reachable(ctx); err != nil {
		return st, err
	}
	service, err := m.settled(ctx)
	if err != nil {
		return st, err
	}
	socket, err := m.show(ctx, socketUnit)
	if err != nil {
		return st, err
	}
	if service["FragmentPath"] != "" {
		st.File = service["FragmentPath"]
	}
	st.PID, _ = strconv.Atoi(service["MainPID"])
	switch {
	case service["ActiveState"] == "active" || service["ActiveState"] == "reloading" || service["ActiveState"] == "activating" && st.PID != 0:
		st.State = Running
	case service["ActiveState"] == "failed", service["SubState"] == "auto-restart", socket["ActiveState"] == "failed":
		st.State, st.Why = Failed, m.why(service, socket)
		st.Log = m.journal(ctx)
	case socket["ActiveState"] == "active":
		st.State = Waiting
	}
	return st, nil
}
