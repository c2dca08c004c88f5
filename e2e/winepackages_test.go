//go:build unix

package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inWindows are the packages whose tests run in wine too: those with code for
// Windows alone, or that touch files, pipes and the network.
var inWindows = []struct {
	dir     string
	without string // tests that can't run there, as -test.skip takes it
	why     string
}{
	{dir: "cmd/csp-agent"},
	{"cmd/cspctl", "^(TestWhatIsLinked|TestSizeOfTheReleasedBinary)$", "they run the go command"},
	{dir: "internal/agent/api"},
	{dir: "internal/atomicfile"},
	{dir: "internal/bootclock"},
	{dir: "internal/config"},
	{dir: "internal/hook"},
	{"internal/ipc", "^TestDependenciesStaySmall$", "it runs the go command"},
	{dir: "internal/ipc/listen"},
	{dir: "internal/keychain"},
	{dir: "internal/notify"},
	{dir: "internal/secret"},
	{dir: "internal/term"},
	{dir: "internal/upstream"},
}

// windowsPackages runs the tests of packages as Windows programs.
func windowsPackages(t *testing.T, w *windows) {
	build := []string{"test", "-c", "-o", w.dir}
	for _, p := range inWindows {
		build = append(build, "../"+p.dir)
	}
	buildWindows(t, build...)
	for _, p := range inWindows {
		t.Run(p.dir, func(t *testing.T) {
			if p.without != "" {
				t.Logf("without %s: %s", p.without, p.why)
			}
			program := filepath.Join(w.dir, filepath.Base(p.dir)+".test.exe")
			ctx, cancel := context.WithTimeout(t.Context(), winePatience)
			defer cancel()
			// test2json is given the program to run, and tells one test's words
			// from another's.
			c := w.command(ctx, "go", "tool", "test2json", "wine", program, "-test.v=test2json", "-test.skip="+p.without, "-test.timeout=60s")
			c.Dir = filepath.Join("..", p.dir)
			for _, name := range []string{"GOPATH", "GOCACHE", "GOROOT", "GOFLAGS"} {
				c.Env = append(c.Env, name+"="+goEnv(t, name))
			}
			said, err := output(c)
			judge(t, said, err)
		})
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return ""
}

// noRemoval is how t.TempDir fails at the end of a test: os.RemoveAll asks for
// FileDispositionInformationEx of NtSetInformationFile, and falls back only
// where that is unknown. wine 8 answers STATUS_NOT_IMPLEMENTED instead. The
// product removes files one by one, by DeleteFile, which works.
const noRemoval = "TempDir RemoveAll cleanup: unlinkat "

// judge reads test2json's events and fails for each test that failed, unless
// all that it says is noRemoval.
func judge(t *testing.T, events string, err error) {
	t.Helper()
	words := map[string][]string{} // by test
	var failed []string
	ran, forgiven := 0, 0
	for s := bufio.NewScanner(strings.NewReader(events)); s.Scan(); {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(s.Bytes(), &e) != nil {
			t.Errorf("not an event: %s", s.Text())
			continue
		}
		switch line := strings.TrimSpace(e.Output); {
		case e.Action == "output" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") && line != "":
			words[e.Test] = append(words[e.Test], line)
		case e.Action == "skip" && e.Test != "":
			t.Logf("skipped %s: %s", e.Test, strings.Join(words[e.Test], " "))
		case e.Action == "pass" && e.Test != "":
			ran++
		case e.Action == "fail" && e.Test != "":
			ran++
			failed = append(failed, e.Test)
		}
	}
	excused := map[string]bool{}
	for _, test := range failed { // what is inside another comes before it
		ours := slices.DeleteFunc(slices.Clone(words[test]), func(line string) bool {
			return strings.Contains(line, noRemoval) && strings.HasSuffix(line, "Invalid function.")
		})
		inner := slices.ContainsFunc(failed, func(other string) bool { return strings.HasPrefix(other, test+"/") && excused[other] })
		if excused[test] = len(ours) == 0 && (inner || len(words[test]) > 0); excused[test] {
			forgiven++
			continue
		}
		t.Errorf("%s:\n\t%s", test, strings.Join(words[test], "\n\t"))
	}
	switch {
	case ran == 0, err != nil && len(failed) == 0:
		t.Errorf("%d tests have run: %v\n%s", ran, err, strings.Join(words[""], "\n"))
	case forgiven > 0:
		t.Logf("%d of %d could not remove their folders", forgiven, ran)
	}
	_ = os.ErrExist
}
