package systemd_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/packaging/systemd"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := systemd.Units.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// options returns the assignments of a unit, in order.
func options(unit string) (all []string) {
	for line := range strings.Lines(unit) {
		if line = strings.TrimSpace(line); strings.Contains(line, "=") && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// What a user's service manager can do with user namespaces alone: the service
// would not start where they are forbidden.
var needNamespaces = []string{
	"PrivateUsers", "PrivateTmp", "PrivateDevices", "PrivateIPC", "PrivateNetwork", "PrivateMounts", "PrivatePIDs",
	"ProtectSystem", "ProtectHome", "ProtectHostname", "ProtectClock", "ProtectKernelTunables", "ProtectKernelModules",
	"ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset",
	"ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths",
	"CapabilityBoundingSet", "AmbientCapabilities", "RootDirectory", "RootImage", "MountFlags", "NetworkNamespacePath",
}

func TestUserUnitStartsWithoutUserNamespaces(t *testing.T) {
	for _, o := range options(read(t, "user/csp-agent.service")) {
		if name, _, _ := strings.Cut(o, "="); slices.Contains(needNamespaces, name) {
			t.Errorf("%s belongs into sandbox.conf", o)
		}
	}
	for _, o := range options(read(t, "user/sandbox.conf")) {
		if name, _, _ := strings.Cut(o, "="); !slices.Contains(needNamespaces, name) {
			t.Errorf("%s works everywhere: it belongs into csp-agent.service", o)
		}
	}
}

// What the user's unit is closed to, the system's is too.
func TestSystemUnitHasTheSandboxOfTheUsers(t *testing.T) {
	system := options(read(t, "system/csp-agent.service"))
	// Of its own kind, or about what only a user has.
	differs := []string{
		"Description=", "Requires=", "After=", "ExecStart=", "RuntimeDirectory", "TasksMax=", "Also=",
		"PrivateUsers=", "ReadWritePaths=", "InaccessiblePaths=", "ProtectProc=",
	}
	for _, o := range append(options(read(t, "user/csp-agent.service")), options(read(t, "user/sandbox.conf"))...) {
		if !slices.Contains(system, o) && !slices.ContainsFunc(differs, func(d string) bool { return strings.HasPrefix(o, d) }) {
			t.Errorf("the system's unit has no %s", o)
		}
	}
	if slices.ContainsFunc(system, func(o string) bool { return strings.HasPrefix(o, "PrivateUsers=") }) {
		t.Error("in a user namespace the system's agent could not tell who asks")
	}
}

// Every option of a sandbox stands below a comment, with none of another kind in
// between.
func TestEveryOptionIsExplained(t *testing.T) {
	for _, name := range []string{"user/csp-agent.service", "user/sandbox.conf", "system/csp-agent.service"} {
		_, service, _ := strings.Cut(read(t, name), "[Service]\n")
		service, _, _ = strings.Cut(service, "\n[Install]")
		explained := false
		for line := range strings.Lines(service) {
			switch line = strings.TrimSpace(line); {
			case line == "":
				explained = false
			case strings.HasPrefix(line, "#"):
				explained = true
			case !explained && !strings.HasPrefix(line, "Type=") && !strings.HasPrefix(line, "Exec"):
				t.Errorf("%s: nothing explains %s", name, line)
			}
		}
	}
}

// systemd has nothing to say about the units.
func TestVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	agent, err := exec.LookPath("true") // stands in: the program has to be there
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"system", "user"} {
		dir := t.TempDir()
		var units []string
		err := fs.WalkDir(systemd.Units, folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) == ".conf" {
				return err
			}
			file := filepath.Join(dir, filepath.Base(name))
			units = append(units, file)
			return os.WriteFile(file, []byte(strings.ReplaceAll(read(t, name), "/usr/bin/csp-agent", agent)), 0o600)
		})
		if err != nil || len(units) < 3 {
			t.Fatal(err, units)
		}
		cmd := exec.CommandContext(t.Context(), analyze, append([]string{"--" + folder, "--man=no", "verify"}, units...)...)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "SYSTEMD_LOG_LEVEL=notice")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s units: %v\n%s", folder, err, out)
		}
	}
}
