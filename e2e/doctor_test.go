//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cspctl/cspctl/internal/doctor"
	"github.com/cspctl/cspctl/internal/term"
)

// examine N runs cspctl doctor, which must end with exit code N, and keeps its
// report for finds.
func examine(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("cspctl", "doctor", "-o", "json")
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	}
	out := []byte(ts.ReadFile("stdout"))
	if got != want {
		ts.Fatalf("exit code %d, want %d (%v)\n%s", got, want, err, out)
	}
	r, err := readReport(worldOf(ts).dir, out)
	ts.Check(err)
	if r.OK != (want == 0) {
		ts.Fatalf("ok is %v, and the exit code %d", r.OK, want)
	}
	worldOf(ts).report = r
}

// readReport checks what holds for each report: it is the documented document,
// what is wrong has a fix, and no API token is in it.
func readReport(dir string, out []byte) (*doctor.Report, error) {
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	var r doctor.Report
	if err := d.Decode(&r); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	if r.Version != 1 || r.Time.IsZero() || len(r.Checks) < 8 {
		return nil, errors.New("not a whole report: " + string(out))
	}
	for _, f := range r.Checks {
		bad := f.State == doctor.Warn || f.State == doctor.Fail
		if f.ID == "" || f.Summary == "" || bad && f.Fix == "" || strings.ContainsAny(f.Summary+f.Fix, "\n\r\x1b") {
			return nil, errors.New("a finding lacks something: " + string(out))
		}
	}
	tokens, _ := filepath.Glob(filepath.Join(dir, "*.token"))
	for _, file := range tokens {
		if found := leak(out, file); found != "" {
			return nil, errors.New("the report holds the API token in " + found)
		}
	}
	return &r, nil
}

// finds ID STATE [SUMMARY [FIX]] looks into the last report: there is a finding
// of that check and state whose texts match the expressions. [!] there is none.
func finds(ts *testscript.TestScript, neg bool, args []string) {
	r := worldOf(ts).report
	if r == nil {
		ts.Fatalf("nothing was examined")
	}
	if found := lookUp(r, args...); found == neg {
		b, err := r.JSON()
		ts.Check(err)
		ts.Fatalf("found is %v: %q\n%s", found, args, b)
	}
}

func lookUp(r *doctor.Report, args ...string) bool {
	for _, f := range r.Checks {
		texts := []string{f.ID, string(f.State), strings.TrimSpace(f.Subject + ": " + f.Summary + "\n" + f.Detail), f.Fix}
		match := true
		for i, want := range args {
			if i < 2 {
				match = match && texts[i] == want
			} else {
				match = match && regexp.MustCompile(want).MatchString(texts[i])
			}
		}
		if match {
			return true
		}
	}
	return false
}

// examined runs cspctl doctor in a world, with more variables.
func (w *world) examined(t testing.TB, more ...string) *doctor.Report {
	t.Helper()
	c := exec.Command(filepath.Join(bin, "cspctl"), "doctor", "-o", "json")
	c.Env = append(w.env, more...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	r, bad := readReport(w.dir, out)
	if bad != nil {
		t.Fatalf("%v (%v): %s", bad, err, &errs)
	}
	if (err == nil) != r.OK {
		t.Fatalf("ok is %v: %v", r.OK, err)
	}
	return r
}

// want fails unless the report has such a finding; see finds.
func want(t testing.TB, r *doctor.Report, args ...string) {
	t.Helper()
	if !lookUp(r, args...) {
		t.Errorf("no %q in\n%s", args, r.Text(term.Style{}))
	}
}

// T30: after an upgrade, the agent of the old version goes on.
func TestT30DoctorOnVersions(t *testing.T) {
	w := worldFor(t)
	other := filepath.Join(w.dir, "other")
	build := func(name, version string) string {
		to := filepath.Join(other, name)
		c := exec.Command("go", "build", "-o", to, "-ldflags=-X github.com/cspctl/cspctl/internal/ipc.Version="+version, "../cmd/"+name)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return to
	}
	agent := build("csp-agent", "0.9.0")
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.startAgentOf(agent, w.env); err != nil {
		t.Fatal(err)
	}
	if out, err := w.login("prod", "prod.token", "--store", "memory"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want(t, w.examined(t), "version", "warn", "agent that runs is version 0.9.0, and csp-agent on disk is dev", "^csp-agent restart$")

	// A cspctl of another version than the csp-agent that it finds.
	if err := os.Remove(agent); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(build("cspctl", "1.1.0"), "doctor", "-o", "json")
	c.Env = w.env
	out, _ := c.Output()
	r, err := readReport(w.dir, out)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, "version", "warn", "cspctl is version 1.1.0, and the csp-agent that it finds is dev", "same release")
}

// T30: the program of the agent that runs is replaced, without a new version.
func TestT30DoctorOnAReplacedProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the kernel shows the program of a process that is not dumpable to root alone")
	}
	w := worldFor(t)
	dir := t.TempDir()
	for _, name := range []string{"csp-agent", "cspctl"} {
		copyFile(t, filepath.Join(bin, name), filepath.Join(dir, name))
	}
	if err := w.startAgentOf(filepath.Join(dir, "csp-agent"), w.env); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(bin, "csp-agent"), filepath.Join(dir, "new"))
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "csp-agent")); err != nil {
		t.Fatal(err)
	}
	want(t, w.examined(t, "HTTPS_PROXY=http://127.0.0.1:1"), "version", "warn", "replaced on disk: "+filepath.Join(dir, "csp-agent"), "^csp-agent restart$")
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
