//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// windows is a Windows to run programs on: wine, with a folder of its own (its
// prefix) for what would be drive C:, the registry and the user's home.
type windows struct {
	dir string // everything that a test leaves; below it, prefix is the wine's
	env []string
}

// winePatience bounds everything that runs in wine.
const winePatience = 2 * time.Minute

// newWindows returns a Windows that is not started.
func newWindows(t *testing.T) *windows {
	t.Helper()
	for program, pkg := range map[string]string{"wine": "wine, wine64", "wineserver": "wine, wine64", "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s (Debian packages %s)", program, pkg)
		}
	}
	w := &windows{dir: t.TempDir()}
	home := filepath.Join(w.dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	// No display, no dialogs, no offers to install mono and gecko, and nothing
	// of the caller's environment.
	w.env = []string{
		"HOME=" + home, "WINEPREFIX=" + filepath.Join(w.dir, "prefix"), "WINEDEBUG=-all", "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8",
		"WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=", "TMPDIR=" + w.dir,
	}
	return w
}

// start makes the prefix, which takes some seconds and 700 MB, and ends what
// runs in it with the test.
func (w *windows) start(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		// It ends all programs in the prefix, and waits until they have ended.
		for _, option := range []string{"-k", "-w"} {
			if out, err := w.native("wineserver", option); err != nil && option == "-w" {
				t.Errorf("wine goes on: %v: %s", err, out)
			}
		}
	})
	if out, err := w.native("wine", "wineboot.exe", "--init"); err != nil {
		t.Errorf("wineboot: %v: %s", err, out)
	}
	dll := filepath.Join(w.dir, "prefix", "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if out, err := w.native("x86_64-w64-mingw32-gcc", "-O2", "-shared", "-o", dll, "testdata/wine/bcryptprimitives.c", "-ladvapi32"); err != nil {
		t.Errorf("bcryptprimitives.dll: %v: %s", err, out)
	}
}

// native runs a program of this system with the environment of the prefix. Its
// output goes to a file: programs in wine keep the stderr of whoever started
// the first of them, so that a pipe would stay open.
func (w *windows) native(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), winePatience)
	defer cancel()
	return output(w.command(ctx, name, args...))
}

func (w *windows) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = w.env
	return c
}

// output runs a command and returns what it printed.
func output(c *exec.Cmd) (string, error) {
	f, err := os.CreateTemp("", "wine")
	if err != nil {
		return "", err
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	c.Stdout, c.Stderr = f, f
	err = c.Run()
	b, _ := os.ReadFile(f.Name())
	return string(b), err
}

// ran is what a program in wine has left.
type ran struct {
	code           int
	stdout, stderr string
}

// run runs a Windows program to its end.
func (w *windows) run(t *testing.T, program string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), winePatience)
	defer cancel()
	c := w.command(ctx, "wine", append([]string{program}, args...)...)
	var out [2]*os.File
	for i := range out {
		f, err := os.CreateTemp(w.dir, "out")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out[i] = f
	}
	c.Stdout, c.Stderr = out[0], out[1]
	err := c.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended || ctx.Err() != nil {
		t.Fatalf("%s %q: %v", program, args, errors.Join(err, ctx.Err()))
	}
	var said [2]string
	for i, f := range out {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		said[i] = string(b)
	}
	return ran{c.ProcessState.ExitCode(), said[0], said[1]}
}

// want checks an exit code and that stderr has the text; a failure has nothing
// on stdout (P3).
func (r ran) want(t *testing.T, code int, text string) ran {
	t.Helper()
	if r.code != code || !strings.Contains(r.stderr, text) || code != 0 && r.stdout != "" {
		t.Fatalf("exit code %d, want %d and %q; stdout %q, stderr %q", r.code, code, text, r.stdout, r.stderr)
	}
	return r
}

// inWine is the name that a file of this system has in wine.
func inWine(path string) string { return "Z:" + strings.ReplaceAll(path, "/", `\`) }

// windowsTests is the folder of the tests: away from the product, which cspctl
// looks for beside itself.
const windowsTests = "tests"

// buildWindows builds for Windows: the product as it is shipped, and tests.
func buildWindows(dir string) error {
	tests := []string{"test", "-c", "-o", filepath.Join(dir, windowsTests) + "/"}
	for _, p := range inWindows {
		tests = append(tests, "../"+p.dir)
	}
	for _, args := range [][]string{{"build", "-o", dir, "../cmd/cspctl", "../cmd/csp-agent"}, tests} {
		c := exec.CommandContext(context.Background(), "go", args...)
		c.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// On Windows: the same agent and the same cspctl, over a named pipe and with
// the Credential Manager.
func TestWindows(t *testing.T) {
	t.Parallel()
	w := newWindows(t)
	built := make(chan error, 1)
	go func() { built <- buildWindows(w.dir) }() // while wine settles
	w.start(t)
	if err := <-built; err != nil || t.Failed() {
		t.Fatal(err)
	}
	t.Run("product", func(t *testing.T) { windowsProduct(t, w) })
	t.Run("packages", func(t *testing.T) { windowsPackages(t, w) })
}
