package launch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// A program as a transient unit:
// https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html
// Nothing newer than systemd 239 is used.

const (
	managerName    = "org.freedesktop.systemd1"
	managerPath    = "/org/freedesktop/systemd1"
	managerIface   = "org.freedesktop.systemd1.Manager"
	serviceIface   = "org.freedesktop.systemd1.Service"
	changedMember  = "org.freedesktop.DBus.Properties.PropertiesChanged"
	execFailed     = 203 // EXIT_EXEC in systemd.exec(5)
	firstOwnStatus = 200 // from here on statuses may be systemd's own, of the same list
)

// property is one of the settings of a unit.
type property struct {
	Name  string
	Value dbus.Variant
}

func set(name string, value any) property { return property{name, dbus.MakeVariant(value)} }

// execLine is a line of ExecStart.
type execLine struct {
	Path          string
	Argv          []string
	IgnoreFailure bool
}

func execStart(argv []string) property {
	escaped := make([]string, len(argv))
	for i, arg := range argv {
		escaped[i] = strings.ReplaceAll(arg, "$", "$$") // else it is taken for a variable
	}
	return set("ExecStart", []execLine{{argv[0], escaped, false}})
}

// unit is a transient service.
type unit struct {
	name string
	path dbus.ObjectPath
}

// newUnit makes up a name.
func newUnit() unit {
	word := strings.ToLower(rand.Text()[:12])
	return unit{
		name: "csp-agent-" + word + ".service",
		path: dbus.ObjectPath(managerPath + "/unit/csp_2dagent_2d" + word + "_2eservice"),
	}
}

// run has the manager run a program to its end.
func (m *manager) run(outer context.Context, c Command) error {
	fail := func(err error) error {
		if outer.Err() != nil {
			return &Error{Reason: Stopped, Program: c.Argv[0], Err: outer.Err()}
		}
		return &Error{Reason: NotStarted, Program: c.Argv[0], Err: err}
	}
	// The manager ends it at its time limit; this one is for the manager.
	ctx, cancel := context.WithTimeout(outer, c.Timeout+m.limits.kill+2*m.limits.manager)
	defer cancel()
	call, err := m.dial(ctx)
	if err != nil {
		return fail(err)
	}
	defer call.Close()
	out, err := newStderr()
	if err != nil {
		return fail(err)
	}
	u := newUnit()
	signals := make(chan *dbus.Signal, 16)
	call.Signal(signals)
	job, err := m.startTransient(ctx, call, u, []property{
		set("Description", "hook of csp-agent: "+c.Argv[0]),
		set("Type", "oneshot"), // "started" is when it has ended
		execStart(c.Argv),
		set("WorkingDirectory", "/"),
		set("StandardInput", "data"),
		set("StandardInputData", append([]byte{}, c.Stdin...)),
		set("StandardOutput", "null"),
		set("StandardErrorFileDescriptor", dbus.UnixFD(out.w.Fd())),
		set("TimeoutStartUSec", uint64(c.Timeout.Microseconds())),
		set("TimeoutStopUSec", uint64(m.limits.kill.Microseconds())),
		set("KillMode", "control-group"),
		set("CollectMode", "inactive-or-failed"),
	})
	if err != nil {
		out.discard()
		return fail(err)
	}
	out.started()
	end, err := awaitUnit(ctx, signals, u, job, ending.over)
	if err != nil {
		m.stop(u)
	}
	out.drained(time.After(m.limits.kill))
	text := out.close()
	if err != nil {
		return fail(err)
	}
	return end.error(c.Argv[0], text)
}

// startTransient has a unit started, and returns the job that does it.
func (m *manager) startTransient(ctx context.Context, conn *dbus.Conn, u unit, settings []property) (job dbus.ObjectPath, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.limits.manager)
	defer cancel()
	type aux struct {
		Name     string
		Settings []property
	}
	err = conn.Object(managerName, managerPath).
		CallWithContext(ctx, managerIface+".StartTransientUnit", 0, u.name, "fail", settings, []aux{}).Store(&job)
	return job, said(ctx, err)
}

// said puts the failure of a call to the manager into words.
func said(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.New("the user's service manager does not answer; look at systemctl --user status")
	}
	return fmt.Errorf("the user's service manager does not do it: %w", err)
}

// stop ends a unit that nobody waits for any longer, over a connection of its
// own: the other one may have ended.
func (m *manager) stop(u unit) {
	ctx, cancel := context.WithTimeout(context.Background(), m.limits.kill)
	defer cancel()
	if conn, err := m.dial(ctx); err == nil {
		_ = conn.Object(managerName, managerPath).CallWithContext(ctx, managerIface+".StopUnit", 0, u.name, "replace").Err
		conn.Close()
	}
}

// ending is how a unit ended.
type ending struct {
	job    string // the result of its job: done, failed
	result string // of the service: success, exit-code, signal, timeout
	code   int32  // CLD_EXITED and so on
	status int32  // the exit status, or the signal
}

// over reports whether everything is known of a service that is started when
// it has ended: the job's end comes before or after the last properties.
func (e ending) over() bool {
	return e.job == "done" || e.job != "" && e.result != "" && e.result != "success"
}

// awaitUnit waits until over says so, or the unit is unloaded. On the
// manager's private socket all signals come unasked, and a unit's last
// properties before that. Other jobs of the unit than the one that started it,
// as somebody's stop, say nothing of the program.
func awaitUnit(ctx context.Context, signals <-chan *dbus.Signal, u unit, job dbus.ObjectPath, over func(ending) bool) (ending, error) {
	var e ending
	for !over(e) {
		select {
		case <-ctx.Done():
			return e, said(ctx, ctx.Err())
		case s, ok := <-signals:
			switch {
			case !ok:
				return e, errors.New("the user's service manager has ended the connection")
			case s.Name == changedMember && s.Path == u.path:
				e.update(s.Body)
			case s.Name == managerIface+".JobRemoved" && len(s.Body) == 4 && s.Body[1] == job:
				e.job, _ = s.Body[3].(string)
			case s.Name == managerIface+".UnitRemoved" && len(s.Body) == 2 && s.Body[0] == u.name:
				return e, nil
			}
		}
	}
	return e, nil
}

// update takes over what a PropertiesChanged signal says.
func (e *ending) update(body []any) {
	if len(body) < 2 || body[0] != serviceIface {
		return
	}
	values, _ := body[1].(map[string]dbus.Variant)
	if v, ok := values["Result"].Value().(string); ok {
		e.result = v
	}
	if v, ok := values["ExecMainCode"].Value().(int32); ok {
		e.code = v
	}
	if v, ok := values["ExecMainStatus"].Value().(int32); ok {
		e.status = v
	}
}

// error returns nil if the program did what it should.
func (e ending) error(program, text string) error {
	const exited = 1 // CLD_EXITED
	fail := &Error{Program: program, Stderr: text}
	switch {
	case e.job == "done":
		return nil
	case e.job == "canceled":
		fail.Reason, fail.Err = Stopped, errors.New("somebody stopped its unit")
	case e.result == "timeout":
		fail.Reason = TimedOut
	case e.code == exited && e.status == execFailed:
		// What the agent sees of the file is less than the manager does, perhaps.
		if fail.Reason, fail.Err = fileReason(program); fail.Reason == 0 {
			fail.Reason = NotExecutable
		}
	case e.result == "exit-code" && e.code == exited && e.status < firstOwnStatus:
		fail.Reason, fail.Status = Exited, int(e.status)
	case e.result == "signal" || e.result == "core-dump":
		fail.Reason, fail.Signal = Killed, signalName(e.status)
	default:
		fail.Reason, fail.Err = NotStarted, fmt.Errorf("the user's service manager says %s, status %d", e.result, e.status)
	}
	return fail
}

var errNoManager = errors.New("the agent is a service of the user's, and finds no service manager at $XDG_RUNTIME_DIR/systemd/private; the unit must not hide it, as ProtectHome=yes does")

// exists reports whether there is anything at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
