package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus"
)

// open asks the portal, which is outside any sandbox of ours, and else runs
// xdg-open.
func (l *Launcher) open(ctx context.Context, page string) error {
	err := l.openPortal(ctx, page)
	if err == nil || errors.Is(err, ErrDismissed) || ctx.Err() != nil {
		return err
	}
	l.log.Debug("the desktop portal does not open pages", "err", err)
	program, err := find("xdg-open")
	if err != nil {
		return err
	}
	if m := l.findManager(); m != nil {
		err = m.open(ctx, program, page)
	} else {
		err = l.openChild(ctx, program, page)
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Reason == Exited && e.Err == nil {
		e.Err = map[int]error{3: errors.New("there is no browser, or no desktop"), 4: errors.New("the browser failed")}[e.Status]
	}
	return err
}

// find returns the path of a program.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &Error{Reason: NotFound, Program: name}
	}
	return path, nil
}

// open starts a program as a transient unit that lives as long as it likes.
func (m *manager) open(ctx context.Context, argv ...string) error {
	fail := func(err error) error { return &Error{Reason: NotStarted, Program: argv[0], Err: err} }
	conn, err := m.dial(ctx)
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	u := newUnit()
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	job, err := m.startTransient(ctx, conn, u, []property{
		set("Description", "page opened by csp-agent"),
		set("Type", "simple"),
		execStart(argv),
		set("WorkingDirectory", "/"),
		set("StandardInput", "null"), set("StandardOutput", "null"), set("StandardError", "null"),
		set("KillMode", "process"), // the browser may be a child of it that stays
		set("CollectMode", "inactive-or-failed"),
	})
	if err != nil {
		return fail(err)
	}
	early, cancel := context.WithTimeout(ctx, m.limits.early)
	defer cancel()
	e, err := awaitUnit(early, signals, u, job, func(e ending) bool { return e.result != "" && e.result != "success" })
	if err != nil && early.Err() == nil {
		return fail(err)
	}
	if e.result == "success" || e.result == "" { // it has ended well, or goes on
		return nil
	}
	e.job = "" // which only started it
	return e.error(argv[0], "")
}

// The OpenURI portal:
// https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.OpenURI.html
const (
	portalName  = "org.freedesktop.portal.Desktop"
	portalPath  = "/org/freedesktop/portal/desktop"
	portalOpen  = "org.freedesktop.portal.OpenURI.OpenURI"
	portalIface = "org.freedesktop.portal.Request"
)

// openPortal has the desktop's portal open a page.
func (l *Launcher) openPortal(ctx context.Context, page string) error {
	ctx, cancel := context.WithTimeout(ctx, l.limits.portalStart)
	defer cancel()
	conn, _, err := sessionbus.Dial(ctx, sessionbus.Addresses(l.getenv, os.Getuid()), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface(portalIface), dbus.WithMatchMember("Response")); err != nil {
		return err
	}
	answers := make(chan *dbus.Signal, 16)
	conn.Signal(answers)
	var request dbus.ObjectPath
	err = conn.Object(portalName, portalPath).
		CallWithContext(ctx, portalOpen, 0, "", page, map[string]dbus.Variant{}).Store(&request)
	if err != nil {
		return err
	}
	limit := time.After(l.limits.portalAnswer)
	for {
		select {
		case <-limit:
			return nil
		case <-ctx.Done():
			return nil // it was taken
		case s, ok := <-answers:
			switch {
			case !ok:
				return nil
			case s.Path != request || s.Name != portalIface+".Response" || len(s.Body) < 1:
				continue
			}
			switch s.Body[0] {
			case uint32(0):
				return nil
			case uint32(1):
				return ErrDismissed
			}
			return fmt.Errorf("the desktop portal answers %v", s.Body[0])
		}
	}
}
