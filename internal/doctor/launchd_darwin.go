package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	agentservice "github.com/cspctl/cspctl/internal/service"
)

const label = agentservice.LaunchdLabel

// launchd asks launchctl(1), whose print is for people: what is not found in
// it is left open.
type launchd struct {
	system bool
	getenv func(string) string
}

func systemServices(o Options) Services { return launchd{o.System, o.Getenv} }

func managerStatus(system bool) string { return "launchctl print " + launchd{system: system}.domain() }

func (l launchd) domain() string {
	if l.system {
		return "system"
	}
	return "gui/" + strconv.Itoa(os.Getuid())
}

// plist is the file that defines the service.
func (l launchd) plist() string {
	if l.system {
		return "/Library/LaunchDaemons/" + label + ".plist"
	}
	return filepath.Join(l.getenv("HOME"), "Library", "LaunchAgents", label+".plist")
}

func (l launchd) Find(ctx context.Context) (Found, error) {
	f := Found{Manager: launchdManager}
	u := Unit{Name: label, File: l.plist(), Load: "not-found", Active: "inactive", Sub: "not loaded"}
	if _, err := os.Stat(l.plist()); err == nil {
		u.Load = "loaded" // by its file; whether launchd has it is Active
	}
	out, err := output(ctx, nil, "/bin/launchctl", "print", l.domain()+"/"+label)
	if err == nil {
		u.Load = "loaded"
		parsePrint(&u, out)
	}
	f.Units = []Unit{u}
	if ctx.Err() != nil {
		return f, errors.New("launchctl did not answer in time")
	}
	return f, nil
}

// Log is what the agent wrote, if its property list sends that to a file, as
// the installed one does.
func (l launchd) Log(_ context.Context, n int) ([]string, error) {
	path := filepath.Join(l.getenv("HOME"), "Library", "Logs", label+".err.log")
	if l.system {
		path = "/var/log/" + label + ".log"
	}
	b, err := readEnd(path, maxOutput)
	return lastLines(string(b), n), err
}

func (l launchd) Variables(ctx context.Context) (vars []string) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"} {
		if out, err := output(ctx, nil, "/bin/launchctl", "getenv", name); err == nil && strings.TrimSpace(out) != "" {
			vars = append(vars, name+"="+strings.TrimSpace(out))
		}
	}
	return append(vars, "") // known, if empty
}

// readEnd returns the last n bytes of a file.
func readEnd(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(n, st.Size()))
	_, err = f.ReadAt(b, st.Size()-int64(len(b)))
	return b, err
}

// linger: an agent of launchd's gui domain ends with the login; there is no
// other way for a keychain that the login opens.
func linger(context.Context, *exam) []Finding { return nil }
