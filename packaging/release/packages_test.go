//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

var makeOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "packages")
	if err != nil {
		return "", err
	}
	madeIn = dir
	return dir, makeRelease(context.Background(), dir, []string{"linux/" + runtime.GOARCH}, false)
})

// made returns the path of a file of the release for this machine, which the
// tests share: one that ends with the given extension.
func made(t *testing.T, extension string) string {
	t.Helper()
	dir, err := makeOnce()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", extension, found, err)
	}
	return found[0]
}

// tool runs a program of a Debian package. Both its outputs are returned.
func tool(t *testing.T, pkg, name string, args ...string) (string, error) {
	t.Helper()
	exe, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s (Debian package %s)", name, pkg)
	}
	c := exec.CommandContext(t.Context(), exe, args...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMPDIR="+t.TempDir())
	out, err := c.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, pkg, name string, args ...string) string {
	t.Helper()
	out, err := tool(t, pkg, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// lintian finds nothing that has no override, no override is without a reason,
// and none is left over.
func TestLintian(t *testing.T) {
	out, err := tool(t, "lintian", "lintian", "--allow-root", "--display-info", "--display-experimental", "--pedantic",
		"--fail-on", "error,warning,info,pedantic,experimental,override", made(t, ".deb"))
	found := regexp.MustCompile(`(?m)^[EWIPXC]: .*`).FindAllString(out, -1)
	if len(units(t)) == 0 { // their overrides are there already
		found = slices.DeleteFunc(found, func(s string) bool { return strings.Contains(s, "unused-override") })
	}
	if len(found) > 0 || (err != nil && !strings.Contains(err.Error(), "exit status 2")) {
		t.Errorf("%v\n%s", err, out)
	}
	reasons(t, "packaging/lintian-overrides", regexp.MustCompile(`^cspctl: `))
}

// rpmlint finds nothing that packaging/rpmlintrc does not explain. It unpacks
// with cpio, and nfpm writes absolute paths: without the option, and as root,
// the machine's own files would be overwritten.
func TestRPMLint(t *testing.T) {
	args := []string{"--strict", "-r", "packaging/rpmlintrc", made(t, ".rpm")}
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("needs cpio (Debian package cpio)")
	}
	dir := t.TempDir()
	careful := "#!/bin/sh\nexec " + cpio + " --no-absolute-filenames \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "cpio"), []byte(careful), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if len(units(t)) == 0 { // their filters are there already
		args = append(args, "--ignore-unused-rpmlintrc")
	}
	out, err := tool(t, "rpmlint", "rpmlint", args...)
	if err != nil || !strings.Contains(out, " 0 errors, 0 warnings") {
		t.Errorf("%v\n%s", err, out)
	}
	reasons(t, "packaging/rpmlintrc", regexp.MustCompile(`^addFilter`))
}

// reasons checks that comments stand above each exception of a file, or above
// the one before.
func reasons(t *testing.T, path string, exception *regexp.Regexp) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reason, count := false, 0
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.TrimSpace(line) == "":
			reason = false
		case strings.HasPrefix(line, "#"):
			reason = true
		case !reason || !exception.MatchString(line):
			t.Errorf("%s: no reason is above %q", path, line)
		default:
			count++
		}
	}
	if count == 0 {
		t.Errorf("%s has no exceptions", path)
	}
}

// everywhere is what both packages have, as far as it is made by now.
var everywhere = []string{
	"/usr/bin/cspctl", "/usr/bin/csp-agent",
	"/usr/share/man/man1/cspctl.1.gz", "/usr/share/man/man8/csp-agent.8.gz", "/usr/share/man/man5/cspctl-config.toml.5.gz",
	"/usr/share/bash-completion/completions/cspctl", "/usr/share/fish/vendor_completions.d/cspctl.fish",
	"/usr/lib/systemd/user-generators/csp-agent-sandbox",
	"/usr/share/doc/cspctl/README.md", "/usr/share/doc/cspctl/examples/csp-expiry-textfile.timer",
}

// units returns where the units of the checkout go.
func units(t *testing.T) (paths []string) {
	t.Helper()
	for from, to := range map[string]string{
		"user/csp-agent*": "systemd/user", "system/*": "systemd/system", "sysusers.d/*": "sysusers.d",
	} {
		found, err := filepath.Glob("packaging/systemd/" + from)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			paths = append(paths, "/usr/lib/"+to+"/"+filepath.Base(f))
		}
	}
	return paths
}

// The lists of both packages: a mode, an owner and a path a line.
func TestFilesOfThePackages(t *testing.T) {
	list := func(text, path, owner string) {
		var got []string
		for line := range strings.Lines(text) {
			line, _, isLink := strings.Cut(line, " -> ")
			f := strings.Fields(line)
			name := strings.TrimPrefix(strings.TrimSuffix(f[len(f)-1], "/"), ".")
			got = append(got, name)
			mode := "-rw-r--r--"
			if f[0][0] == 'd' {
				mode = "drwxr-xr-x"
			} else if strings.HasPrefix(name, "/usr/bin/") {
				mode = "-rwxr-xr-x"
			} else if isLink {
				mode = f[0] // a link has none of its own
			}
			if f[0] != mode || !strings.Contains(strings.Join(f, " "), owner) {
				t.Errorf("want %s and %s: %s", mode, owner, line)
			}
			if strings.Contains(name, "csp-sim") {
				t.Errorf("the simulator is in the package: %s", line)
			}
		}
		for _, want := range append(append([]string{path}, everywhere...), units(t)...) {
			if !slices.Contains(got, want) {
				t.Errorf("%s is missing in\n%s", want, text)
			}
		}
	}
	t.Run("deb", func(t *testing.T) {
		deb := made(t, ".deb")
		list(must(t, "dpkg", "dpkg-deb", "-c", deb), "/usr/share/zsh/vendor-completions/_cspctl", "root/root")
		control := must(t, "dpkg", "dpkg-deb", "-f", deb)
		if strings.Contains(control, "Depends:") || !strings.Contains(control, "\nArchitecture: "+runtime.GOARCH+"\n") {
			t.Errorf("%s", control)
		}
		must(t, "dpkg", "dpkg", "--validate-version", strings.TrimSpace(must(t, "dpkg", "dpkg-deb", "-f", deb, "Version")))
	})
	t.Run("rpm", func(t *testing.T) {
		rpm := made(t, ".rpm")
		list(must(t, "rpm", "rpm", "-qplv", rpm), "/usr/share/zsh/site-functions/_cspctl", "root root")
		about := must(t, "rpm", "rpm", "-qp", "--qf", "%{BUILDHOST} %{NAME}\n", rpm)
		if about != "cspctl cspctl\n" {
			t.Errorf("%q", about)
		}
		for line := range strings.Lines(must(t, "rpm", "rpm", "-qp", "--requires", rpm)) {
			if line = strings.TrimSpace(line); line != "/bin/sh" && !strings.HasPrefix(line, "rpmlib(") {
				t.Errorf("requires %q", line)
			}
		}
		scripts := must(t, "rpm", "rpm", "-qp", "--scripts", rpm)
		for _, name := range []string{"postinstall", "preuninstall", "postuninstall"} {
			if !strings.Contains(scripts, name+" scriptlet (using /bin/sh)") {
				t.Errorf("no %s in %s", name, scripts)
			}
		}
	})
}

// rpm takes the package, and finds all files as they were packed.
func TestRPMInstalls(t *testing.T) {
	rpm := made(t, ".rpm")
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	must(t, "rpm", "rpm", "--root", root, "--nodeps", "--noscripts", "-i", rpm)
	must(t, "rpm", "rpm", "--root", root, "--nodeps", "--noscripts", "-V", "cspctl")
	must(t, "rpm", "rpm", "--root", root, "--nodeps", "--noscripts", "-e", "cspctl")
	for _, name := range []string{"/usr/bin/cspctl", "/usr/share/doc/cspctl", "/usr/share/licenses/cspctl"} {
		if _, err := os.Lstat(root + name); err == nil {
			t.Errorf("%s was left behind", name)
		}
	}
}
