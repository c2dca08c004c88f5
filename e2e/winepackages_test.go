//go:build unix

package e2e_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inWindows are the packages whose tests run in wine too: those with code for
// Windows alone, or that touch files, pipes and system errors.
var inWindows = []struct {
	dir     string
	without string // tests that can't run there, as -test.skip takes it
	why     string
}{
	{dir: "cmd/csp-agent"},
	{"cmd/cspctl", "^(TestWhatIsLinked|TestSizeOfTheReleasedBinary)$", "they run the go command"},
	{dir: "internal/atomicfile"},
	{dir: "internal/bootclock"},
	{dir: "internal/config"},
	{"internal/ipc", "^TestDependenciesStaySmall$", "it runs the go command"},
	{dir: "internal/ipc/listen"},
	{"internal/keychain", "^TestStoreServesManyAtOnce$/^file|^TestFileTwoProcessesAtOnce$",
		"each file is a call to another process in wine, too slow for the lock's two seconds on a busy machine"},
	{dir: "internal/launch"},
	{"internal/loopback", "^TestOwnProcessPasses$/^IPv6$|^TestToolsAccept$", "wine 8 names no process for a connection by IPv6, and the tools are this system's"},
	{dir: "internal/secret"},
	{"internal/sink", "^TestFileIsPutBack$", "os.RemoveAll, which it calls, does not work in wine 8"},
	{dir: "internal/term"},
	{dir: "internal/upstream"},
}

// windowsPackages runs the tests of packages as Windows programs.
func windowsPackages(t *testing.T, w *windows) {
	for _, p := range inWindows {
		t.Run(p.dir, func(t *testing.T) {
			t.Parallel()
			if p.without != "" {
				t.Logf("without %s: %s", p.without, p.why)
			}
			program := filepath.Join(w.dir, windowsTests, filepath.Base(p.dir)+".test.exe")
			ctx, cancel := context.WithTimeout(t.Context(), winePatience)
			defer cancel()
			c := w.command(ctx, "wine", program, "-test.v=test2json", "-test.skip="+p.without, "-test.timeout=60s")
			c.Dir = filepath.Join("..", p.dir)
			said, err := output(c)
			judge(t, said, err)
		})
	}
}

// noRemoval is how t.TempDir fails at the end of a test: os.RemoveAll asks for
// FileDispositionInformationEx of NtSetInformationFile, and falls back only
// where that is unknown. wine 8 answers STATUS_NOT_IMPLEMENTED instead. The
// product removes files one by one, by DeleteFile, which works.
const noRemoval = "TempDir RemoveAll cleanup: unlinkat "

// judge reads what tests said with -test.v=test2json, where package testing's
// own lines begin with a SYN (cmd/test2json), and fails for each test that
// failed, unless all that it says is noRemoval.
func judge(t *testing.T, said string, err error) {
	t.Helper()
	words := map[string][]string{} // by test
	var failed []string
	now, ran := "", 0
	for line := range strings.Lines(strings.ReplaceAll(said, "\r\n", "\n")) {
		line = strings.TrimRight(line, "\n")
		verb, name, _ := strings.Cut(strings.TrimPrefix(line, "\x16"), " ")
		name, _, _ = strings.Cut(strings.TrimSpace(name)+" ", " (")
		switch own := strings.HasPrefix(line, "\x16"); {
		case own && verb == "===":
			_, name, _ = strings.Cut(name, " ") // RUN, NAME, CONT, PAUSE
			now = strings.TrimSpace(name)
		case own && verb == "---":
			result, test, _ := strings.Cut(name, ": ")
			ran++
			switch result {
			case "FAIL":
				failed = append(failed, test)
			case "SKIP":
				t.Logf("skipped %s: %s", test, strings.Join(words[test], " "))
			}
		case line != "":
			words[now] = append(words[now], strings.TrimSpace(line))
		}
	}
	forgiven := map[string]bool{}
	for _, test := range failed { // those inside another come before it
		isNoRemoval := func(line string) bool {
			return strings.Contains(line, noRemoval) && strings.HasSuffix(line, "Invalid function.")
		}
		inside := func(other string) bool { return strings.HasPrefix(other, test+"/") && forgiven[other] }
		if slices.ContainsFunc(failed, inside) || slices.ContainsFunc(words[test], isNoRemoval) {
			forgiven[test] = !slices.ContainsFunc(words[test], func(line string) bool { return !isNoRemoval(line) })
		}
		if !forgiven[test] {
			t.Errorf("%s:\n\t%s", test, strings.Join(words[test], "\n\t"))
		}
	}
	if ran == 0 || err != nil && len(failed) == 0 {
		t.Errorf("%d tests have run: %v\n%s", ran, err, said)
	}
	if len(forgiven) > 0 {
		t.Logf("%d of %d could not remove their folders", len(forgiven), ran)
	}
}
