//go:build linux || darwin

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/cspctl/cspctl/internal/ipc"
)

// environment looks at what says where things are: with sudo, su or cron it
// speaks of somebody else's folders, or of none (T26).
func environment(_ context.Context, e *exam) []Finding {
	if e.System {
		return []Finding{info("the system's service does not depend on this shell's environment")}
	}
	var found []Finding
	if e.NoHome != nil {
		found = append(found, fail(e.NoHome.Error(), "export HOME to your home folder's absolute path"))
	}
	if home := e.Getenv("HOME"); filepath.IsAbs(home) {
		uid, err := owner(home)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found = append(found, fail("HOME is "+home+", which is not there", "make that folder, or set HOME to one that is there"))
		case err == nil && uid != os.Geteuid():
			found = append(found, fail(fmt.Sprintf("HOME is %s, which belongs to another user (uid %d), and this is uid %d", home, uid, os.Geteuid()),
				"run cspctl as that user, without sudo, or with a home of its own: sudo -H cspctl doctor"))
		}
	}
	found = append(found, e.runtimeDir()...)
	for _, name := range []string{ipc.EnvSocket, ipc.EnvUID, "CSP_AGENT_CONFIG"} {
		if v := e.Getenv(name); v != "" {
			found = append(found, info(name+" is set: "+v))
		}
	}
	found = append(found, e.otherAgents()...)
	if e.path != "" {
		return orFine(found, ok("home, runtime folder and socket are this user's (uid "+strconv.Itoa(os.Geteuid())+")"))
	}
	return found
}

func (e *exam) runtimeDir() []Finding {
	dir := e.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		if runtime.GOOS == "darwin" || e.Getenv(ipc.EnvSocket) != "" {
			return nil
		}
		return []Finding{info("XDG_RUNTIME_DIR is not set, as under cron and su: the socket is " + e.path)}
	}
	const unset = "unset XDG_RUNTIME_DIR, or log in anew"
	uid, err := owner(dir)
	st, _ := os.Stat(dir)
	switch {
	case !filepath.IsAbs(dir):
		return []Finding{warn("XDG_RUNTIME_DIR is no absolute path and is ignored: "+dir, unset)}
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{warn("XDG_RUNTIME_DIR is "+dir+", which is not there, as after the last logout; the socket is "+e.path, unset)}
	case err != nil:
		return []Finding{warn("XDG_RUNTIME_DIR is "+dir+", which can't be looked at: "+because(err), unset)}
	case uid != os.Geteuid():
		return []Finding{fail(fmt.Sprintf("XDG_RUNTIME_DIR is %s, which belongs to another user (uid %d): no agent is started from this shell", dir, uid),
			"run cspctl without sudo or su, or: unset XDG_RUNTIME_DIR")}
	case !st.IsDir():
		return []Finding{fail("XDG_RUNTIME_DIR is "+dir+", which is no folder", unset)}
	case st.Mode().Perm()&0o022 != 0:
		return []Finding{warn(fmt.Sprintf("XDG_RUNTIME_DIR is %s, and others may write to it (mode %04o)", dir, st.Mode().Perm()), "chmod 700 "+quote(dir))}
	}
	return nil
}

// otherAgents looks for an agent where this shell does not look: two hold two
// sets of secrets in memory, and one of them is not renewed.
func (e *exam) otherAgents() (found []Finding) {
	var places []string
	for _, hide := range [][]string{{ipc.EnvSocket}, {ipc.EnvSocket, "XDG_RUNTIME_DIR"}} {
		if p, err := ipc.SocketPath(without(e.Getenv, hide...)); err == nil {
			places = append(places, p)
		}
	}
	if home := e.Getenv("HOME"); filepath.IsAbs(home) {
		more, _ := filepath.Glob(filepath.Join(home, ".cache", "csp-agent", "*", "agent.sock"))
		places = append(places, more...)
	}
	seen := map[string]bool{e.path: true}
	for _, p := range places {
		if seen[p] {
			continue
		}
		seen[p] = true
		if d := knockAt(context.Background(), p); d.listens && (!d.known || int(d.peer.UID) == os.Geteuid()) {
			f := warn("another agent of yours listens at "+p+", and this shell asks "+e.path,
				fmt.Sprintf("use one of them: export %[1]s=%[2]s here, or end that agent: %[1]s=%[2]s csp-agent stop", ipc.EnvSocket, quote(p)))
			if e.Getenv(ipc.EnvSocket) != "" { // so somebody wanted it
				f = info(f.Summary)
			}
			found = append(found, f)
		}
	}
	return found
}

func without(getenv func(string) string, names ...string) func(string) string {
	return func(name string) string {
		for _, n := range names {
			if n == name {
				return ""
			}
		}
		return getenv(name)
	}
}
