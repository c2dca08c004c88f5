//go:build linux

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manualOf reads the manual pages of an archive.
func manualOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	for _, name := range []string{"cspctl.1", "csp-agent.8", "cspctl-config.toml.5"} {
		b, err := os.ReadFile(filepath.Join(dir, "man", name))
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = b
	}
	return pages
}

// Each page renders without a word of complaint, and is found by its name.
func TestManualRenders(t *testing.T) {
	dir := unpacked(t, ".tar.gz") + "/man/"
	for name := range manualOf(t, filepath.Dir(filepath.Clean(dir))) {
		c := exec.CommandContext(t.Context(), "man", "--warnings=w", "-l", dir+name)
		c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80", "MANROFFSEQ=")
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip("needs man (Debian package man-db)")
		}
		if err != nil || errs.Len() > 0 || bytes.Count(out, []byte("\n")) < 50 {
			t.Errorf("%s: %v: %s%s", name, err, errs.String(), out)
		}
		for line := range strings.Lines(string(out)) {
			if len([]rune(line)) > 100 {
				t.Errorf("%s: wider than any terminal: %s", name, line)
			}
		}
		title, _, _ := strings.Cut(strings.TrimSuffix(name, filepath.Ext(name)), " ")
		if whatis := must(t, "man-db", "lexgrog", dir+name); !strings.Contains(whatis, `"`+title+" - ") {
			t.Errorf("%s: %s", name, whatis)
		}
	}
}

// plain is the text of a page without its macros and escapes.
func plain(page []byte) string {
	s := regexp.MustCompile(`\\f[BRI]`).ReplaceAllString(string(page), "")
	return strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\(ti`, "~", `\(ha`, "^", `\(ga`, "`", `\(dq`, `"`, `\e`, `\`).Replace(s)
}

// Everything that completion knows of is in the page: commands, flags, values.
func TestManualHasEveryCommandAndFlag(t *testing.T) {
	bin := unpacked(t, ".tar.gz")
	manual := manualOf(t, bin)
	page := plain(manual["cspctl.1"])
	count := 0
	var walk func(path []string)
	walk = func(path []string) {
		complete := func(current string) (words []string) {
			args := append(append([]string{filepath.Join(bin, "cspctl"), "__complete"}, path...), "="+current)
			out, err := output(t.Context(), args...)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				words = append(words, word)
			}
			return words
		}
		name := strings.Join(append([]string{"cspctl"}, path...), " ")
		_, section, ok := strings.Cut(page, ".SS \""+name)
		if len(path) > 0 && !ok {
			t.Errorf("%s has no section", name)
			return
		}
		section, _, _ = strings.Cut(section, ".SS ")
		for _, flag := range complete("-") {
			if flag != "--help" && !strings.Contains(section, ".TP\n"+flag) {
				t.Errorf("%s: %s is not described in %q", name, flag, section)
			}
			count++
		}
		if len(path) == 0 || slices.Contains(complete("-"), "--help") && len(complete("-")) == 1 && path[0] == "profile" && len(path) == 1 {
			for _, word := range complete("") {
				walk(append(slices.Clone(path), word))
				count++
			}
		}
	}
	walk(nil)
	if count < 60 {
		t.Errorf("only %d words", count)
	}
	agent, err := output(t.Context(), filepath.Join(bin, "csp-agent"), "help")
	if err != nil {
		t.Fatal(err)
	}
	names := commandNames(agent)
	for _, name := range names {
		if !strings.Contains(plain(manual["csp-agent.8"]), ".TP\n"+name) {
			t.Errorf("csp-agent %s is not described", name)
		}
	}
	if len(names) < 3 {
		t.Errorf("only %v in the help of csp-agent", names)
	}
	v, at, err := fromGit(t.Context(), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	date := at.Format("2006-01-02")
	for name, text := range manual {
		if strings.Contains(string(text), "@") && regexp.MustCompile(`@[A-Z]+@`).Match(text) {
			t.Errorf("%s has something left to fill in", name)
		}
		if !strings.Contains(string(text), date+`" "cspctl `+escape(v.raw)+`"`) {
			t.Errorf("%s has another date or version", name)
		}
	}
}

// variable is one of the environment that the product reads itself.
var variable = regexp.MustCompile(`"((?:CSPCTL|CSP_AGENT)_[A-Z_]*[A-Z])"`)

// A new variable of the environment belongs into ENVIRONMENT of a page.
func TestManualHasEveryVariable(t *testing.T) {
	manual, err := filepath.Glob("packaging/man/*.[18]")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, path := range manual {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	count := 0
	for _, root := range []string{"cmd/cspctl", "cmd/csp-agent", "internal"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, filepath.Join("internal", "sim")) {
				return err
			}
			b, err := os.ReadFile(path)
			for _, m := range variable.FindAllStringSubmatch(string(b), -1) {
				count++
				if !strings.Contains(text, m[1]) {
					t.Errorf("%s reads %s, which is in neither packaging/man/cspctl.1 nor csp-agent.8", path, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count < 6 {
		t.Errorf("only %d variables", count)
	}
}

func TestRoff(t *testing.T) {
	const text = `
One paragraph
of two lines - 'quoted'.

.dots and \backslashes

Kinds:
  one    the first
  two words  and more
  csp-app

Flags:
  -o json|table
        the form
        of it
  --org ORG
        an org

Examples:
  a  b
    c
`
	const want = `.PP
One paragraph
of two lines \- \(aqquoted\(aq.
.PP
\&.dots and \ebackslashes
.PP
Kinds:
.RS 4
.EX
one    the first
two words  and more
csp\-app
.EE
.RE
.PP
Flags:
.TP
\fB\-o\fR \fBjson|table\fR
the form
of it
.TP
\fB\-\-org\fR \fIORG\fR
an org
.PP
Examples:
.RS 4
.EX
a  b
  c
.EE
.RE
`
	if got := roff(text); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := roff("Kinds:\n  one  the first\n  two words  and more\n"); got != ".PP\nKinds:\n.TP\n\\fBone\\fR\nthe first\n.TP\n\\fBtwo\\fR \\fBwords\\fR\nand more\n" {
		t.Errorf("%q", got)
	}
}
