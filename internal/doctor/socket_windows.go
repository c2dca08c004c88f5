package doctor

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/Microsoft/go-winio"

	"github.com/cspctl/cspctl/internal/ipc"
)

// environment looks at what says where things are.
func environment(_ context.Context, e *exam) []Finding {
	var found []Finding
	if e.NoHome != nil {
		found = append(found, fail(e.NoHome.Error(), "set USERPROFILE and LOCALAPPDATA, or log in anew"))
	}
	if e.Getenv("LOCALAPPDATA") == "" {
		found = append(found, fail("LOCALAPPDATA is not set: no agent can be started from here", "log in anew, or set it to your profile's AppData\\Local"))
	}
	for _, name := range []string{ipc.EnvSocket, ipc.EnvUID, "CSP_AGENT_CONFIG"} {
		if v := e.Getenv(name); v != "" {
			found = append(found, info(name+" is set: "+v))
		}
	}
	return orFine(found, ok("the profile's folders are known"))
}

// knock connects to the agent's pipe and writes nothing.
func (e *exam) knock(ctx context.Context) door {
	if e.pathErr != nil {
		return door{err: e.pathErr}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := winio.DialPipeContext(ctx, e.path)
	if err != nil {
		return door{err: err, denied: errors.Is(err, fs.ErrPermission)}
	}
	_ = c.Close()
	return door{listens: true}
}

// socket looks at the pipe. Whose it is, the client checks before it writes.
func socket(_ context.Context, e *exam) []Finding {
	d := e.door()
	switch {
	case e.pathErr != nil:
		return []Finding{fail(e.pathErr.Message, e.pathErr.Hint)}
	case d.listens:
		return []Finding{ok(e.path)}
	case errors.Is(d.err, fs.ErrNotExist):
		return []Finding{ok(e.path + ", which no agent has made yet")}
	case d.denied:
		return []Finding{fail("no permission to use the pipe "+e.path+": another user has made it", "end that program, or unset "+ipc.EnvSocket)}
	}
	return []Finding{fail("the pipe "+e.path+" can't be reached: "+because(d.err), "end csp-agent in the Task Manager; the next cspctl starts a new one")}
}

// quote writes a path for a shell.
func quote(path string) string { return `"` + path + `"` }
