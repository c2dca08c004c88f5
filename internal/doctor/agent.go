package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// agent looks whether an agent answers.
func agent(_ context.Context, e *exam) []Finding {
	d, r := e.door(), e.reply()
	switch {
	case e.pathErr != nil:
		return []Finding{info("none can be asked: the socket's path is not known")}
	case r.status != nil:
		st := r.status
		found := []Finding{ok(fmt.Sprintf("version %s answers, pid %d, since %s", st.Version, st.PID, st.StartedAt.UTC().Format(time.RFC3339)))}
		if st.Locked {
			found = append(found, info("it is locked, and gives nothing out until: cspctl unlock"))
		}
		return found
	case !d.listens:
		return []Finding{e.noAgent()}
	case r.err.Code == ipc.CodeNotAllowed:
		f := fail("the agent does not serve this user on this socket", "run cspctl as the agent's user; for root: allow_root = true in that user's settings")
		if e.System {
			f = info("the system's agent runs, and shows its inside to its own user alone")
		}
		return []Finding{f.detail(r.err.Message)}
	case errors.Is(r.err, os.ErrDeadlineExceeded):
		return []Finding{fail(fmt.Sprintf("the agent accepts connections, and did not answer within %v", replyTime), e.restart())}
	}
	return []Finding{fail(r.err.Message, hint(r.err, e.restart()))}
}

func hint(e *ipc.Error, otherwise string) string {
	if e.Hint == "" {
		return otherwise
	}
	return e.Hint
}

// noAgent is no failure: cspctl starts one.
func (e *exam) noAgent() Finding {
	switch {
	case e.System:
		return fail("no agent of the system's runs", "csp-agent start --system")
	case e.Getenv(ipc.EnvAutostart) == "0":
		return warn("no agent runs, and "+ipc.EnvAutostart+"=0 forbids cspctl to start one", "unset "+ipc.EnvAutostart+", or start it: csp-agent start")
	case e.Getenv(ipc.EnvUID) != "":
		return warn("no agent runs, and cspctl starts none while "+ipc.EnvUID+" is set", "start it as that user, or unset "+ipc.EnvUID)
	}
	return info("none runs now; the next cspctl that needs one starts it")
}

// versions compares what runs with what is on disk (T30).
func versions(_ context.Context, e *exam) []Finding {
	var found []Finding
	if e.Client != "" && e.Client != ipc.Version {
		found = append(found, warn("cspctl is version "+e.Client+", and the csp-agent that it finds is "+ipc.Version+atPath(e.Exe),
			"install both from the same release, and put both into one folder"))
	}
	st := e.reply().status
	if st == nil {
		return orFine(found, ok("csp-agent "+ipc.Version+atPath(e.Exe)))
	}
	switch path, gone := runningProgram(st.PID); {
	case st.Version != ipc.Version:
		found = append(found, warn("the agent that runs is version "+st.Version+", and csp-agent on disk is "+ipc.Version, e.restart()))
	case gone:
		found = append(found, warn("the program of the agent that runs was replaced on disk: "+path, e.restart()))
	case path != "" && e.Exe != "" && !sameFile(path, e.Exe):
		found = append(found, info("the agent runs from "+path+", and cspctl finds "+e.Exe))
	case path == "" && changedSince(e.Exe, st.StartedAt):
		found = append(found, info(e.Exe+" was replaced after the agent started, which still runs the old one; to change that: "+e.restart()))
	}
	return orFine(found, ok("cspctl, csp-agent and the agent that runs are of version "+ipc.Version))
}

func atPath(exe string) string {
	if exe == "" {
		return ""
	}
	return " (" + exe + ")"
}

func sameFile(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}
