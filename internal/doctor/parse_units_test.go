package doctor

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUnit(t *testing.T) {
	for name, c := range map[string]struct {
		say  string
		want Unit
	}{
		"runs": {`Type=simple
Result=success
MainPID=144
ExecMainStatus=0
ExecStart={ path=/usr/bin/csp-agent ; argv[]=/usr/bin/csp-agent run ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Id=csp-agent.service
LoadState=loaded
ActiveState=active
SubState=running
FragmentPath=/usr/lib/systemd/user/csp-agent.service
UnitFileState=static
NeedDaemonReload=no`, Unit{Name: "csp-agent.service", Load: "loaded", Active: "active", Sub: "running", Result: "success", Exit: "0",
			File: "/usr/lib/systemd/user/csp-agent.service", Enabled: "static", Program: "/usr/bin/csp-agent", PID: 144}},
		"can't be loaded": {`Id=csp-agent.service
LoadState=bad-setting
LoadError=org.freedesktop.systemd1.BadUnitSetting "Unit csp-agent.service has a bad unit file setting."
ActiveState=inactive
NeedDaemonReload=yes`, Unit{Name: "csp-agent.service", Load: "bad-setting", Active: "inactive", Stale: true,
			Error: "Unit csp-agent.service has a bad unit file setting."}},
	} {
		if diff := cmp.Diff(c.want, parseUnit(c.say)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParsePrint(t *testing.T) {
	const head = "gui/501/csp-agent = {\n\tactive count = 1\n\tpath = /Users/jo/Library/LaunchAgents/csp-agent.plist\n\tprogram = /usr/local/bin/csp-agent\n"
	for name, c := range map[string]struct {
		say  string
		want Unit
	}{
		"runs":        {head + "\tstate = running\n\tpid = 501\n\tlast exit code = (never exited)\n}", Unit{Active: "active", Sub: "running", PID: 501, Program: "/usr/local/bin/csp-agent"}},
		"failed":      {head + "\tstate = not running\n\tlast exit code = 1\n}", Unit{Active: "failed", Sub: "not running", Result: "exit-code", Exit: "1", Program: "/usr/local/bin/csp-agent"}},
		"can't start": {head + "\tstate = spawn scheduled\n\tlast exit code = 78: EX_CONFIG\n}", Unit{Active: "failed", Sub: "spawn scheduled", Result: "exit-code", Exit: "78", Program: "/usr/local/bin/csp-agent"}},
		"ended":       {head + "\tstate = not running\n\tlast exit code = 0\n}", Unit{Sub: "not running", Program: "/usr/local/bin/csp-agent"}},
	} {
		var u Unit
		parsePrint(&u, c.say)
		if diff := cmp.Diff(c.want, u); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParseTask(t *testing.T) {
	const task = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2"><Triggers><LogonTrigger><Enabled>false</Enabled></LogonTrigger></Triggers>
<Settings><Enabled>true</Enabled></Settings>
<Actions><Exec><Command>"C:\Program Files\cspctl\csp-agent.exe"</Command><Arguments>run</Arguments></Exec></Actions></Task>`
	var u Unit
	parseTask(&u, task)
	if want := (Unit{Load: "loaded", Sub: "scheduled", Program: `C:\Program Files\cspctl\csp-agent.exe`}); u != want {
		t.Errorf("got %+v", u)
	}
	parseTask(&u, strings.ReplaceAll(task, "<Settings><Enabled>true", "<Settings><Enabled>false"))
	if u.Load != "masked" {
		t.Errorf("a task that is switched off: %+v", u)
	}
	u = Unit{}
	if parseTask(&u, "INFO: nothing\r\n"); u != (Unit{}) {
		t.Errorf("no task: %+v", u)
	}
	if parseTask(&u, strings.Join(strings.Split(task, ""), "\x00")); u.Load != "loaded" || u.Program == "" {
		t.Errorf("in UTF-16: %+v", u)
	}
}

func TestParseService(t *testing.T) {
	const say = "\r\nSERVICE_NAME: csp-agent\r\n        TYPE               : 10  WIN32_OWN_PROCESS\r\n        STATE              : %s\r\n" +
		"        WIN32_EXIT_CODE    : %x\r\n        PID                : %p\r\n"
	for name, c := range map[string]struct {
		state, exit, pid string
		want             Unit
	}{
		"runs":    {"4  RUNNING", "0  (0x0)", "4242", Unit{Load: "loaded", Active: "active", Sub: "running", PID: 4242}},
		"failed":  {"1  STOPPED", "1067  (0x42b)", "0", Unit{Load: "loaded", Active: "failed", Sub: "stopped", Result: "exit-code", Exit: "1067"}},
		"never":   {"1  STOPPED", "1077  (0x435)", "0", Unit{Load: "loaded", Sub: "stopped"}},
		"no PID":  {"1  STOPPED", "0  (0x0)", "-", Unit{Load: "loaded", Sub: "stopped"}},
		"no text": {"4", "0", "1", Unit{Load: "loaded", Active: "active", PID: 1}},
	} {
		var u Unit
		parseService(&u, strings.NewReplacer("%s", c.state, "%x", c.exit, "%p", c.pid).Replace(say))
		if diff := cmp.Diff(c.want, u); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Whatever a service manager says, its pid is none that kill would take for
// many processes.
func FuzzParseUnits(f *testing.F) {
	for _, s := range []string{"Id=a\nMainPID=-1\nExecStart={ path=", "pid = -1\nlast exit code = ", "PID : -1\nSTATE : 4", "<Settings><Enabled>x", "=\n : \n = \n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var p, x, v Unit
		parsePrint(&p, s)
		parseTask(&x, s)
		parseService(&v, s)
		for _, u := range []Unit{parseUnit(s), p, x, v} {
			if u.PID < 0 {
				t.Errorf("pid %d of %q", u.PID, s)
			}
		}
	})
}
