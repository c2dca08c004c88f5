package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// P1: another user, and root too, get nothing at the socket: by its folder's
// mode, and where somebody opened that, by the kernel's word for who connects.
func TestP1AnotherUserIsRefusedAtTheSocket(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	home, run, shell := strangerWorld(t, true)
	w := worldFor(t)
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(w.dir, "prod.token"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, "prod.token")
	if err := errors.Join(os.WriteFile(file, token, 0o600), os.Chown(file, stranger, stranger)); err != nil {
		t.Fatal(err)
	}
	if out, err := shell("cspctl login prod --server " + w.url + " --token-file $HOME/prod.token --store memory"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	socket := filepath.Join(run, "csp-agent", "agent.sock")
	as := func(uid uint32, args ...string) (stdout string, code int, stderr string) {
		c := exec.Command(args[0], args[1:]...)
		if args[0] == "cspctl" {
			c.Path, c.Err = filepath.Join(bin, "cspctl"), nil
		}
		// With the uid accepted, it is the agent alone that refuses.
		c.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "CSP_AGENT_SOCK=" + socket, fmt.Sprint("CSP_AGENT_UID=", stranger)}
		c.Dir, c.Stdin = "/", strings.NewReader("another-api-token-another-api-token")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		var out, bad bytes.Buffer
		c.Stdout, c.Stderr = &out, &bad
		_ = c.Run()
		return out.String(), c.ProcessState.ExitCode(), bad.String()
	}
	const other = stranger - 1
	refuses := func(uid uint32, want string) {
		t.Helper()
		for _, args := range [][]string{
			{"token", "prod"}, {"status"}, {"profile", "list"}, {"logout", "prod"}, {"profile", "remove", "prod", "--yes"},
			{"login", "prod", "--server", w.url, "--token-file", "-", "--replace", "--no-verify", "--store", "memory"},
		} {
			out, code, stderr := as(uid, append([]string{"cspctl"}, args...)...)
			if code != 6 || out != "" || !strings.Contains(stderr, want) || !strings.Contains(stderr, "cspctl: hint: ") {
				t.Errorf("uid %d, %v: exit %d, %q, %s", uid, args, code, out, stderr)
			}
		}
	}
	refuses(other, "no permission to use the socket")
	// root passes each mode, and is refused by the agent.
	refuses(0, "this agent does not serve your user here")

	if err := errors.Join(os.Chmod(run, 0o777), os.Chmod(filepath.Dir(socket), 0o777), os.Chmod(socket, 0o666)); err != nil {
		t.Fatal(err)
	}
	refuses(other, "this agent does not serve your user here")
	for _, args := range [][]string{
		{"http://agent/v1/token?profile=prod"},
		{"-X", "DELETE", "http://agent/v1/profiles/prod"},
		{"-X", "PUT", "-d", `{"secret":"another-api-token-another-api-token","store":"memory","no_verify":true}`, "http://agent/v1/profiles/prod"},
	} {
		out, _, stderr := as(other, append([]string{"curl", "-sS", "--max-time", "20", "--unix-socket", socket}, args...)...)
		if !strings.Contains(out, `"code":"not_allowed"`) {
			t.Errorf("%v: %q %s", args, out, stderr)
		}
	}
	if err := errors.Join(os.Chmod(run, 0o700), os.Chmod(filepath.Dir(socket), 0o700), os.Chmod(socket, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := shell("cspctl token prod --fresh"); err != nil || !strings.HasPrefix(out, "eyJ") {
		t.Errorf("the owner: %v: %s", err, out)
	}
}
