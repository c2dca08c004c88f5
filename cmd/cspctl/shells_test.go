//go:build unix

package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// What is typed before the tab key, and the line that the shell makes of it.
var completions = [][2]string{
	{"cspctl tok", "cspctl token"},
	{"cspctl profile rem", "cspctl profile remove"},
	{"cspctl token pro", "cspctl token prod"},
	{"cspctl token prod --fr", "cspctl token prod --fresh"},
	{"cspctl token --kind i", "cspctl token --kind id"},
	{"cspctl token --kind=i", "cspctl token --kind=id"},
	{"cspctl token -o exec", "cspctl token -o exec-credential"},
	{"cspctl login --ca-file /dev/nul", "cspctl login --ca-file /dev/null"},
	{"cspctl login --ca-file=/dev/nul", "cspctl login --ca-file=/dev/null"},
}

func shellOrSkip(t *testing.T, name string) *fakeAgent {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if name == "pwsh" {
			t.Skip("needs pwsh (PowerShell, which Debian does not package)")
		}
		t.Skipf("needs %s (Debian package %s)", name, name)
	}
	f := newAgent(t)
	f.profiles("prod", "ci")
	return f
}

// typed starts a shell on a terminal, runs the setup, and types each line with
// a tab; the shell then prints what the line became.
func typed(t *testing.T, f *fakeAgent, setup string, name string, args ...string) {
	cmd, _ := process(t, f, name, args...)
	cmd.Stderr = nil
	cmd.Env = append(cmd.Env, "TERM=vt100", "PS1=> ", "HOME="+t.TempDir(), "HISTFILE=")
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 300})
	if err != nil {
		t.Fatal(err)
	}
	shown := newReader(t, screen)
	t.Cleanup(func() { _, _ = screen.WriteString("\x15exit\r"); _ = cmd.Wait(); _ = screen.Close() })
	_, _ = screen.WriteString(setup + "; echo set''up done\r")
	shown.waitFor("setup done")
	for _, c := range completions {
		shown.all = ""
		_, _ = screen.WriteString(c[0] + "\t\x01echo 'got:' \x05:\r") // to the start, to the end
		shown.waitFor("got: cspctl")
		shown.waitFor(":\r\n")
		_, line, _ := strings.Cut(shown.all, "got: ")
		line, _, _ = strings.Cut(line, "\r")
		if got := strings.TrimRight(line, " :"); got != c[1] {
			t.Errorf("%s: %q became %q, want %q", name, c[0], got, c[1])
		}
	}
}

func TestCompletionInBash(t *testing.T) {
	typed(t, shellOrSkip(t, "bash"), "source <(cspctl completion bash)", "bash", "--norc", "--noprofile", "-i")
}

func TestCompletionInZsh(t *testing.T) {
	typed(t, shellOrSkip(t, "zsh"), "autoload -U compinit && compinit -D -u; source <(cspctl completion zsh)", "zsh", "-f", "-i")
}

func TestCompletionInFish(t *testing.T) {
	f := shellOrSkip(t, "fish")
	for _, c := range completions {
		cmd, errs := process(t, f, "fish", "--no-config", "-c", `cspctl completion fish | source; complete -C "$argv[1]"`, c[0])
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Fatalf("%q: %v, %s", c[0], err, errs)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		word, _, _ := strings.Cut(lines[0], "\t")
		want := c[1][strings.LastIndexByte(c[1], ' ')+1:]
		if len(lines) != 1 || word != want && !strings.HasSuffix(want, "="+word) {
			t.Errorf("%q: got %q, want %q", c[0], out, want)
		}
	}
}

func TestCompletionInPowershell(t *testing.T) {
	f := shellOrSkip(t, "pwsh")
	for _, c := range completions[:7] {
		cmd, _ := process(t, f, "pwsh", "-NoProfile", "-Command",
			"cspctl completion powershell | Out-String | Invoke-Expression; (TabExpansion2 '"+c[0]+"').CompletionMatches.CompletionText")
		out, err := cmd.Output()
		want := c[1][strings.LastIndexByte(c[1], ' ')+1:]
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", c[0], got, err, want)
		}
	}
}
