//go:build linux || darwin

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// knock connects to the agent's socket and writes nothing.
func (e *exam) knock(ctx context.Context) door {
	if e.pathErr != nil {
		return door{err: e.pathErr}
	}
	return knockAt(ctx, e.path)
}

func knockAt(ctx context.Context, path string) (d door) {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return door{err: err, denied: errors.Is(err, fs.ErrPermission)}
	}
	defer func() { _ = c.Close() }()
	d.listens = true
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { d.peer, err = ipc.PeerOfSocket(int(fd)) })
	}
	d.known = err == nil
	return d
}

// stale reports whether a socket is there, and nobody listens.
func (d door) stale() bool { return errors.Is(d.err, syscall.ECONNREFUSED) }

// socket looks at the socket, its folder, and who listens (T21 to T27).
func socket(_ context.Context, e *exam) []Finding {
	if e.pathErr != nil {
		return []Finding{fail(e.pathErr.Message, e.pathErr.Hint)}
	}
	found := append(e.socketFolder(), e.socketItself()...)
	where := e.path
	if !e.door().listens {
		where += ", where nobody listens yet"
	}
	return orFine(found, ok(where))
}

// elsewhere reports whether the socket is meant to be somebody else's: the
// system's, or one that CSP_AGENT_UID speaks of.
func (e *exam) elsewhere() bool {
	return e.System || filepath.Dir(e.path) == ipc.SystemDir || e.Getenv(ipc.EnvUID) != ""
}

func (e *exam) socketFolder() []Finding {
	dir := filepath.Dir(e.path)
	st, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return []Finding{fail("the socket's folder can't be reached: a folder above "+dir+" is closed", "chmod 700 "+quote(filepath.Dir(dir)))}
	case err != nil:
		return []Finding{fail("the socket's folder "+dir+" can't be looked at: "+because(err), "check that path, or set "+ipc.EnvSocket+" to another one")}
	case !st.IsDir():
		return []Finding{fail(dir+" is in the way, and is no folder", "mv "+quote(dir)+" "+quote(dir+".old"))}
	}
	uid, perm := ownerOf(st), st.Mode().Perm()
	switch {
	case perm&0o022 != 0 && st.Mode()&os.ModeSticky == 0 || perm&0o077 != 0 && !e.elsewhere() && uid == os.Geteuid():
		return []Finding{fail(fmt.Sprintf("the socket's folder %s is open to others (mode %04o): the agent does not start in it", dir, perm), "chmod 700 "+quote(dir))}
	case e.elsewhere():
		return nil
	case uid != os.Geteuid():
		return []Finding{fail(fmt.Sprintf("the socket's folder %s belongs to another user (uid %d): the agent does not start in it", dir, uid),
			"sudo rm -r "+quote(dir)+", or set "+ipc.EnvSocket+" to a path of your own")}
	case perm&0o700 != 0o700:
		return []Finding{fail(fmt.Sprintf("the socket's folder %s shuts its owner out (mode %04o)", dir, perm), "chmod 700 "+quote(dir))}
	}
	return nil
}

func (e *exam) socketItself() []Finding {
	st, err := os.Lstat(e.path)
	if err != nil {
		return nil // the folder tells, or it is not there yet
	}
	d := e.door()
	switch {
	case st.Mode().Type() != fs.ModeSocket:
		return []Finding{fail(e.path+" is in the way, and is no socket", "mv "+quote(e.path)+" "+quote(e.path+".old"))}
	case d.listens && d.known && int(d.peer.UID) != os.Geteuid() && !e.mayListen(d.peer.UID):
		return []Finding{fail(fmt.Sprintf("another user (uid %d) listens at %s: cspctl sends it nothing", d.peer.UID, e.path),
			fmt.Sprintf("if that agent is meant, export %s=%d; else unset %s, or remove the socket", ipc.EnvUID, d.peer.UID, ipc.EnvSocket))}
	case d.listens:
		return nil
	case ownerOf(st) != os.Geteuid() && !e.elsewhere():
		return []Finding{fail(fmt.Sprintf("the socket %s belongs to another user (uid %d)", e.path, ownerOf(st)), "sudo rm "+quote(e.path))}
	case d.denied:
		return []Finding{fail(fmt.Sprintf("no permission to use the socket %s (mode %04o)", e.path, st.Mode().Perm()),
			"as its owner: chmod 600 "+quote(e.path)+"; for a group's socket: ask to be added to the group, then log in anew")}
	case d.stale() && e.System:
		return []Finding{fail("nobody listens at "+e.path+": a service that was killed left it behind", "csp-agent restart --system")}
	case d.stale():
		return []Finding{warn("nobody listens at "+e.path+": an agent that was killed left it behind",
			"cspctl profile list starts an agent, which replaces it")}
	case d.err != nil:
		return []Finding{fail("the socket "+e.path+" can't be reached: "+because(d.err), "see the log of the agent, or start it by hand: csp-agent run")}
	}
	return nil
}

// mayListen is the rule of the client: root or the folder's owner for the
// system's socket, and whom CSP_AGENT_UID names.
func (e *exam) mayListen(uid uint32) bool {
	if e.Getenv(ipc.EnvUID) == fmt.Sprint(uid) {
		return true
	}
	dir := filepath.Dir(e.path)
	st, err := os.Lstat(dir)
	return dir == ipc.SystemDir && (uid == 0 || err == nil && ownerOf(st) == int(uid))
}
