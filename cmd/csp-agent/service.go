package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/service"
	"github.com/cspctl/cspctl/internal/term"
)

// The exit codes of `csp-agent status`: those of the Linux Standard Base for
// init scripts (LSB 5.0, 22.2), as systemctl has them.
const (
	statusFailed       = 1
	statusStopped      = 3
	statusNotInstalled = 4
)

// serviceCall is a service verb under way.
type serviceCall struct {
	*service.Manager
	ctx    context.Context
	socket string // where the service's agent serves its owner

	settings error // that they can't be used
}

// serviceVerb makes a verb that takes --user or --system.
func serviceVerb(do func(*serviceCall) (int, error)) func(args []string) int {
	return func(args []string) int {
		scope, ok := scopeOf(args)
		if !ok {
			return wrongUsage()
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		code, err := withService(ctx, scope, do)
		if err != nil {
			hint := ""
			if errors.Is(err, service.ErrNotInstalled) {
				hint = "csp-agent install"
			}
			complain(err, hint)
			code = max(code, 1)
		}
		return code
	}
}

func withService(ctx context.Context, scope service.Scope, do func(*serviceCall) (int, error)) (int, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return 1, err
	}
	dirs, bad := sinkDirs(scope)
	m, err := service.New(service.Options{
		Scope: scope, Exe: exe, NewKey: keychain.NewKeyFile, Strangers: strangers(), Writable: dirs,
		Tell: func(line string) { fmt.Println(line) },
	})
	if err != nil {
		return 1, err
	}
	c := &serviceCall{Manager: m, ctx: ctx, settings: bad}
	if c.socket, err = socketOf(scope); err != nil {
		return 1, err
	}
	return do(c)
}

func socketOf(scope service.Scope) (string, error) {
	if scope == service.System {
		return filepath.Join(ipc.SystemDir, "agent.sock"), nil
	}
	return ipc.SocketPath(os.Getenv)
}

// strangers reports whether the settings let others than the owner in, or might:
// they can't be read.
func strangers() bool {
	f, err := findFiles(os.Getenv)
	if err != nil {
		return false
	}
	s, err := config.Load(f.config)
	return err != nil || len(s.Sockets) > 0 || s.AllowRoot != nil && *s.AllowRoot
}

// sinkDirs are the folders of the settings in which files with tokens may be.
func sinkDirs(scope service.Scope) ([]string, error) {
	find := findFiles
	if scope == service.System {
		find = findSystemFiles
	}
	f, err := find(os.Getenv)
	if err != nil {
		return nil, err
	}
	s, err := config.Load(f.config)
	return s.Sinks.Dirs, err
}

func install(c *serviceCall) (int, error) {
	if c.settings != nil { // the sandbox is made by them
		return 1, fmt.Errorf("the settings can't be used, and nothing was installed: %w", c.settings)
	}
	if err := c.Check(); err != nil { // before an agent that runs is ended for it
		return 1, err
	}
	if err := c.endDetached(); err != nil {
		return 1, err
	}
	if err := c.Install(c.ctx); err != nil {
		return 1, err
	}
	st, err := c.ask()
	if err != nil {
		return 1, fmt.Errorf("it is installed, but does not answer: %w", err)
	}
	fmt.Printf("csp-agent %s serves at %s\n", st.Version, st.Socket)
	if c.Scope == service.System {
		fmt.Printf("to log in: sudo %s=%s cspctl login PROFILE\n", ipc.EnvSocket, c.socket)
	} else if set := os.Getenv(ipc.EnvSocket); set != "" {
		fmt.Printf("but %s leads this shell elsewhere: unset it\n", ipc.EnvSocket)
	}
	return 0, nil
}

func uninstall(c *serviceCall) (int, error) {
	switch err := c.Uninstall(c.ctx); {
	case errors.Is(err, service.ErrNotInstalled):
		fmt.Println("the service is not installed: there is nothing to remove")
		return 0, nil
	case err != nil:
		return 1, err
	}
	fmt.Println("removed the service; what is yours is still there:")
	kept(os.Stdout, c.Scope)
	return 0, nil
}

// kept lists what uninstall leaves.
func kept(w io.Writer, scope service.Scope) {
	if scope == service.System {
		for _, p := range []string{"/etc/csp-agent", "/var/lib/csp-agent"} {
			if _, err := os.Lstat(p); err == nil {
				fmt.Fprintln(w, "  "+p)
			}
		}
		fmt.Fprintln(w, "  the user csp-agent and the group cspctl")
		return
	}
	f, err := findFiles(os.Getenv)
	if err != nil {
		return
	}
	told := map[string]bool{}
	for _, p := range []string{f.config, f.state, f.store} {
		dir := filepath.Dir(p)
		if _, err := os.Lstat(dir); err == nil && !told[dir] {
			told[dir] = true
			fmt.Fprintln(w, "  "+dir)
		}
	}
	fmt.Fprintln(w, "  the secrets in the keychain; cspctl logout --all forgets them")
}

func start(c *serviceCall) (int, error) {
	err := c.Start(c.ctx)
	if !errors.Is(err, service.ErrNotInstalled) || c.Scope == service.System {
		return 0, err
	}
	// As cspctl does where there is no service.
	_, err = ipc.Open(ipc.Options{}).Do(ipc.Request{Method: "GET", Path: "/v1/profiles", Accept: "application/json"})
	return 0, err
}

func stop(c *serviceCall) (int, error) {
	err := c.Stop(c.ctx)
	if err != nil && !errors.Is(err, service.ErrNotInstalled) || c.Scope == service.System {
		return 0, err
	}
	return 0, c.endDetached()
}

func restart(c *serviceCall) (int, error) {
	if err := c.endDetached(); err != nil {
		return 1, err
	}
	err := c.Restart(c.ctx)
	if errors.Is(err, service.ErrNotInstalled) && c.Scope == service.User {
		return start(c)
	}
	return 0, err
}

func status(c *serviceCall) (int, error) {
	st, err := c.Status(c.ctx)
	if err != nil {
		return statusNotInstalled, err
	}
	// What answers, whoever started it; a socket that systemd holds is not asked,
	// since that would start the agent.
	answers := ""
	if st.State != service.Waiting {
		if a, err := c.ask(); err == nil {
			answers = fmt.Sprintf("csp-agent %s answers at %s (pid %d)", term.Clean(a.Version), c.socket, a.PID)
		}
	}
	line := "the service is " + string(st.State)
	if st.File != "" {
		line += " (" + st.File + ")"
	}
	fmt.Println(line)
	if st.Why != "" {
		fmt.Println("why: " + st.Why)
	}
	for _, l := range st.Log {
		fmt.Println("log: " + l)
	}
	if answers != "" {
		fmt.Println(answers)
	}
	switch {
	case st.State == service.Running, st.State == service.Waiting, answers != "":
		return 0, nil
	case st.State == service.Failed:
		return statusFailed, nil
	case st.State == service.Stopped:
		return statusStopped, nil
	}
	return statusNotInstalled, nil
}

// askTime is how long an agent may take to answer; one that hangs does not.
const askTime = 3 * time.Second

// ask asks the agent at the service's socket, and starts none.
func (c *serviceCall) ask() (st ipc.Status, err error) {
	getenv := func(name string) string {
		if name == ipc.EnvSocket {
			return c.socket
		}
		return os.Getenv(name)
	}
	reply, err := ipc.Open(ipc.Options{Getenv: getenv, NoStart: true}).Do(
		ipc.Request{Method: "GET", Path: "/v1/status", Accept: "application/json", Timeout: askTime})
	if err == nil && reply.Status != http.StatusOK {
		err = fmt.Errorf("the agent at %s refuses to tell how it is (status %d)", c.socket, reply.Status)
	}
	if err == nil {
		err = json.Unmarshal(reply.Body, &st)
	}
	return st, err
}

// generator is the name under which the user's service manager calls csp-agent
// as one of its generators.
const generator = "csp-agent-sandbox"

func generate(args []string) int {
	if len(args) < 1 || runtime.GOOS != "linux" {
		return wrongUsage()
	}
	if err := service.Generate(args[0], strangers()); err != nil {
		complain(err, "")
		return 1
	}
	return 0
}
