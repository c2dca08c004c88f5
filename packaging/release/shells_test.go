//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// The completion scripts work from where the packages put them: each shell
// finds them there by itself, and calls the packaged cspctl.
func TestShellsFindTheirCompletion(t *testing.T) {
	root := unpacked(t, ".deb")
	env := append(os.Environ(), "PATH="+root+"/usr/bin:"+os.Getenv("PATH"), "XDG_DATA_DIRS="+root+"/usr/share",
		"HOME="+t.TempDir(), "HISTFILE=", "TERM=vt100", "PS1=> ", "CSPCTL_AUTOSTART=0", "CSP_AGENT_SOCK="+root+"/none")
	const typed, want = "cspctl profile rem", "cspctl profile remove"
	for _, c := range []struct {
		shell, needs, setup string
		args                []string
	}{
		{"bash", "/usr/share/bash-completion/bash_completion", "source /usr/share/bash-completion/bash_completion", []string{"--norc", "--noprofile", "-i"}},
		{"zsh", "", "fpath=(" + root + "/usr/share/zsh/vendor-completions $fpath); autoload -U compinit && compinit -D -u", []string{"-f", "-i"}},
	} {
		t.Run(c.shell, func(t *testing.T) {
			if _, err := exec.LookPath(c.shell); err != nil {
				t.Skipf("needs %s (Debian package %s)", c.shell, c.shell)
			}
			if _, err := os.Stat(c.needs); c.needs != "" && err != nil {
				t.Skip("needs bash-completion (Debian package bash-completion)")
			}
			cmd := exec.CommandContext(t.Context(), c.shell, c.args...)
			cmd.Env, cmd.Dir = env, root
			screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 300})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = screen.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			if err := screen.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
				t.Fatal(err)
			}
			shown := ""
			waitFor := func(text string) {
				t.Helper()
				buf := make([]byte, 4096)
				for !strings.Contains(shown, text) {
					n, err := screen.Read(buf)
					shown += string(buf[:n])
					if err != nil {
						t.Fatalf("never showed %q: %v: %q", text, err, shown)
					}
				}
				_, shown, _ = strings.Cut(shown, text)
			}
			_, _ = screen.WriteString(c.setup + "; echo set''up done\r")
			waitFor("setup done")
			_, _ = screen.WriteString(typed + "\t\x01echo 'got:' \x05:\r") // to the start, to the end
			waitFor("got: ")
			line := shown
			for !strings.Contains(shown, "\r\n") {
				waitFor(":")
				line += shown
			}
			if got := strings.TrimRight(strings.SplitN(line, "\r", 2)[0], " :"); got != want {
				t.Errorf("%q became %q, want %q", typed, got, want)
			}
		})
	}
	t.Run("fish", func(t *testing.T) {
		exe, err := exec.LookPath("fish")
		if err != nil {
			t.Skip("needs fish (Debian package fish)")
		}
		cmd := exec.CommandContext(t.Context(), exe, "-c", `complete -C "$argv[1]"`, typed)
		cmd.Env, cmd.Dir = env, filepath.Dir(root)
		out, err := cmd.CombinedOutput()
		if word, _, _ := strings.Cut(string(out), "\t"); err != nil || word != "remove" {
			t.Errorf("%v: %q", err, out)
		}
	})
}
