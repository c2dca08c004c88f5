//go:build linux

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const packaging = "../packaging"

// promtool runs Prometheus's own checks.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	exe, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool (make deps; it is in the Debian package prometheus)")
	}
	c := exec.CommandContext(t.Context(), exe, args...)
	c.Stdin, c.Dir = strings.NewReader(stdin), packaging+"/prometheus"
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertRules(t *testing.T) {
	promtool(t, "", "check", "rules", "--lint=all", "--lint-fatal", "csp-agent.rules.yml")
	promtool(t, "", "test", "rules", "csp-agent.rules.test.yml")
}

// pages are what machines read: the agent's page, and the file by cspctl.
func pages(t *testing.T) (w *world, agent, file string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	w = served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	get := exec.CommandContext(t.Context(), "sh", "-c", `curl -fsS --max-time 20 --unix-socket "$(cspctl socket)" http://agent/v1/token >/dev/null &&
		curl -sS --max-time 20 --unix-socket "$(cspctl socket)" -o /dev/null -H "Host: browser.example" http://agent/metrics &&
		curl -fsS --max-time 20 --unix-socket "$(cspctl socket)" http://agent/metrics`)
	get.Env = w.env
	out, err := get.Output()
	if err != nil {
		t.Fatal(err)
	}
	written, err := w.cspctl("expiry", "-o", "prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	return w, string(out), string(written)
}

// What the rules and the dashboard speak of is told, and their expressions are
// ones that Prometheus can read.
func TestRulesAndDashboardSpeakOfWhatIsTold(t *testing.T) {
	_, agent, file := pages(t)
	promtool(t, agent, "check", "metrics")
	promtool(t, file, "check", "metrics")

	rules, err := os.ReadFile(packaging + "/prometheus/csp-agent.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	exprs := []string{}
	for _, m := range regexp.MustCompile(`(?m)^ +expr: (.*)$`).FindAllStringSubmatch(string(rules), -1) {
		exprs = append(exprs, m[1])
	}
	if n := strings.Count(string(rules), "- alert:"); len(exprs) != n {
		t.Errorf("%d expressions in %d rules", len(exprs), n)
	}
	shown := dashboard(t)
	var generated strings.Builder
	generated.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, e := range shown {
		for name, value := range map[string]string{"$__rate_interval": "5m", "$instance": ".*", "$profile": ".*"} {
			e = strings.ReplaceAll(e, name, value)
		}
		quoted, _ := json.Marshal(e)
		fmt.Fprintf(&generated, "      - record: panel:%d\n        expr: %s\n", i, quoted)
	}
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(path, []byte(generated.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)

	exprs = append(exprs, shown...)
	used := map[string]bool{}
	for _, e := range exprs {
		for _, name := range regexp.MustCompile(`\b(csp|node|process|go)_[a-z_]+`).FindAllString(e, -1) {
			used[name] = true
		}
	}
	for name := range used {
		if !strings.Contains(agent, "\n"+name+"{") && !strings.Contains(agent, "\n"+name+" ") && !strings.HasPrefix(name, "node_textfile_") {
			t.Errorf("%s is not told", name)
		}
	}
	if len(used) < 15 {
		t.Errorf("only %d metrics are used: %v", len(used), used)
	}
}

// dashboard returns the expressions of the dashboard.
func dashboard(t *testing.T) (exprs []string) {
	t.Helper()
	b, err := os.ReadFile(packaging + "/grafana/csp-agent.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Templating struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			Title      string
			Datasource struct{ UID string }
			Targets    []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		t.Errorf("the data source is no variable: %+v", d.Templating)
	}
	for _, p := range d.Panels {
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs
}

// The units are ones that systemd takes, and what they start does its work.
func TestTextfileUnits(t *testing.T) {
	const folder = packaging + "/systemd/user/"
	service, err := os.ReadFile(folder + "csp-expiry-textfile.service")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("verify", func(t *testing.T) {
		exe, err := exec.LookPath("systemd-analyze")
		if err != nil {
			t.Skip("needs systemd-analyze (Debian package systemd)")
		}
		dir := t.TempDir()
		timer, err := os.ReadFile(folder + "csp-expiry-textfile.timer")
		if err != nil {
			t.Fatal(err)
		}
		// systemd looks for cspctl where packages put it.
		here := strings.ReplaceAll(string(service), "ExecStart=cspctl", "ExecStart="+filepath.Join(bin, "cspctl"))
		for name, text := range map[string]string{"service": here, "timer": string(timer)} {
			if err := os.WriteFile(filepath.Join(dir, "csp-expiry-textfile."+name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.CommandContext(t.Context(), exe, "verify", "--user", "--man=no", filepath.Join(dir, "csp-expiry-textfile.service"), filepath.Join(dir, "csp-expiry-textfile.timer"))
		c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir)
		if out, err := c.CombinedOutput(); err != nil || strings.Contains(string(out), "csp-expiry") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("run", func(t *testing.T) {
		w, _, file := pages(t)
		start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(string(service))
		if start == nil {
			t.Fatal("nothing is started")
		}
		env := append(w.env, "TEXTFILE_FOLDER="+w.dir)
		for _, m := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(string(service), -1) {
			if !strings.HasPrefix(m[1], "TEXTFILE_FOLDER=") {
				env = append(env, m[1])
			}
		}
		run := func() error {
			c := exec.CommandContext(t.Context(), "sh", "-c", "umask 077; exec "+strings.ReplaceAll(start[1], "%u", "jo"))
			c.Env = env
			return c.Run()
		}
		if err := run(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(w.dir, "csp-jo.prom")
		b, err := os.ReadFile(path)
		if err != nil || string(b) != file {
			t.Errorf("%v: %s", err, b)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%v, %v", info, err)
		}
		// Without an agent it fails, starts none, and leaves the file to grow stale.
		w.agent.stop(syscall.SIGTERM)
		if err := run(); err == nil {
			t.Error("it succeeded without an agent")
		}
		if now, err := os.Stat(path); err != nil || !now.ModTime().Equal(info.ModTime()) || len(agentsOf(w.run)) != 0 {
			t.Errorf("%v: the file of %v, before %v", err, now.ModTime().Format(time.RFC3339Nano), info.ModTime().Format(time.RFC3339Nano))
		}
	})
}
