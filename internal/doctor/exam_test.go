package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// played is a service manager as a test wants it.
type played struct {
	found Found
	err   error
	vars  []string
}

func (p played) Find(context.Context) (Found, error)        { return p.found, p.err }
func (p played) Log(context.Context, int) ([]string, error) { return nil, errors.New("no log") }
func (p played) Variables(context.Context) []string         { return p.vars }
func (p played) pid(pid int) played                         { p.found.Units[0].PID = pid; return p }
func manager(name string, units ...Unit) played {
	return played{found: Found{Manager: name, Units: units}}
}
func (p played) exam(t *testing.T, o Options, st *ipc.Status) *exam { return examOf(t, p, o, st) }

// examOf is an examination of an agent that says st.
func examOf(t *testing.T, s Services, o Options, st *ipc.Status) *exam {
	o.Services = s
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	e := newExam(t.Context(), o)
	e.reply = func() reply { return reply{status: st} }
	e.door = func() door { return door{listens: st != nil} }
	return e
}

// T20, T30: how an agent is started anew, and gets a bus from this shell.
func TestRestart(t *testing.T) {
	st := &ipc.Status{PID: 42, Version: "1"}
	unit := Unit{Name: "csp-agent.service", Load: "loaded", Active: "active"}
	for name, c := range map[string]struct {
		e             *exam
		restart, over string
	}{
		"systemd's": {manager(systemdManager, unit).pid(42).exam(t, Options{}, st), "csp-agent restart",
			"systemctl --user import-environment DBUS_SESSION_BUS_ADDRESS && csp-agent restart"},
		"launchd's":    {manager(launchdManager, unit).pid(42).exam(t, Options{}, st), "csp-agent restart", "csp-agent restart, from this shell"},
		"the system's": {manager(systemdManager, unit).pid(42).exam(t, Options{System: true}, st), "csp-agent restart --system", "csp-agent restart --system"},
		"by hand, though one is installed": {manager(systemdManager, unit).pid(7).exam(t, Options{}, st), "csp-agent restart",
			"csp-agent restart, from this shell"},
		"none runs": {manager(systemdManager, unit).exam(t, Options{}, nil), "csp-agent restart", "csp-agent restart"},
	} {
		if got := c.e.restart(); got != c.restart {
			t.Errorf("%s: restart is %q", name, got)
		}
		if got := c.e.handOverBus(); !strings.Contains(got, c.over) {
			t.Errorf("%s: the bus is handed over by %q", name, got)
		}
	}
}

// A manager that can't be asked, and what each result means.
func TestServiceFindings(t *testing.T) {
	unit := func(change func(*Unit)) []Unit {
		u := Unit{Name: "csp-agent.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code", Exit: "1"}
		change(&u)
		return []Unit{u}
	}
	for name, c := range map[string]struct {
		s         played
		state     State
		text, fix string
	}{
		"it hangs":  {played{err: errors.New("systemctl did not answer in time")}, Warn, "can't be asked: systemctl did not answer in time", managerStatus(false)},
		"no memory": {manager(systemdManager, unit(func(u *Unit) { u.Result, u.Exit = "oom-kill", "0" })...), Fail, "failed (oom-kill): the machine had no memory left", "reset-failed"},
		"again and again": {manager(systemdManager, unit(func(u *Unit) { u.Result = "start-limit-hit" })...), Fail, "failed (start-limit-hit, exit status 1): it ended at once, again and again",
			"reset-failed"},
		"no credential":     {manager(systemdManager, unit(func(u *Unit) { u.Exit = "243" })...), Fail, "LoadCredential= is missing", "csp-agent start"},
		"on macOS":          {manager(launchdManager, unit(func(u *Unit) { u.Exit = "78" })...), Fail, "failed (exit-code, exit status 78)", "correct what its log says, then: csp-agent start"},
		"off on Windows":    {manager(taskScheduler, unit(func(u *Unit) { u.Load = "masked" })...), Warn, "is masked", "schtasks.exe /Change /TN csp-agent.service /ENABLE"},
		"off on macOS":      {manager(launchdManager, unit(func(u *Unit) { u.Load = "masked" })...), Warn, "is masked", "launchctl enable"},
		"ended, to be sure": {manager(systemdManager, unit(func(u *Unit) { u.Active = "activating" })...), Warn, "ended badly the last time", "csp-agent start"},
	} {
		got := service(t.Context(), c.s.exam(t, Options{}, nil))
		if len(got) != 1 || got[0].State != c.state || !strings.Contains(got[0].Summary, c.text) || !strings.Contains(got[0].Fix, c.fix) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// T12: where the manager's environment is not known, nothing is claimed of it.
func TestT12NoFalseAlarm(t *testing.T) {
	env := func(name string) string { return map[string]string{"HTTPS_PROXY": "http://proxy.example:3128"}[name] }
	for name, c := range map[string]struct {
		vars []string
		want State
	}{
		"not known": {nil, OK},
		"without":   {[]string{""}, Warn},
		"with":      {[]string{"https_proxy=http://proxy.example:3128"}, OK},
		"empty":     {[]string{"HTTPS_PROXY="}, Warn},
	} {
		s := manager(systemdManager, Unit{Load: "loaded"})
		s.vars = c.vars
		if got := proxy(t.Context(), s.exam(t, Options{Getenv: env}, nil)); got[0].State != c.want {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
