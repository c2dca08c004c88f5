package doctor

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/cspctl/cspctl/internal/ipc"
	agentservice "github.com/cspctl/cspctl/internal/service"
)

// taskName is the agent's name in the Task Scheduler.
var taskName = sync.OnceValue(func() string {
	sid, _ := ipc.UserSID() // without it nothing is found by the name
	return agentservice.TaskName(sid)
})

// tasks asks the Task Scheduler for the user's agent, by its XML, which is the
// same in every language of the system, and the service control manager for
// the system's.
type tasks struct {
	system bool
	getenv func(string) string
}

func systemServices(o Options) Services { return tasks{o.System, o.Getenv} }

func managerStatus(system bool) string {
	if system {
		return "sc.exe query " + taskName()
	}
	return "schtasks.exe /Query /TN " + taskName()
}

func (s tasks) tool(name string) string {
	return filepath.Join(s.getenv("SystemRoot"), "System32", name)
}

func (s tasks) Find(ctx context.Context) (Found, error) {
	if !filepath.IsAbs(s.getenv("SystemRoot")) {
		return Found{}, errors.New("SystemRoot is not set")
	}
	u := Unit{Name: taskName(), Load: "not-found", Active: "inactive", Sub: "not running"}
	find := s.task
	if s.system {
		find = s.service
	}
	find(ctx, &u)
	f := Found{Manager: taskScheduler, Units: []Unit{u}}
	if ctx.Err() != nil {
		return f, errors.New("Windows did not answer in time")
	}
	return f, nil
}

func (s tasks) task(ctx context.Context, u *Unit) {
	xml, err := output(ctx, nil, s.tool("schtasks.exe"), "/Query", "/TN", taskName(), "/XML")
	if err != nil {
		return
	}
	parseTask(u, xml)
	u.File = taskName()
}

func (s tasks) service(ctx context.Context, u *Unit) {
	out, err := output(ctx, nil, s.tool("sc.exe"), "queryex", taskName())
	if err != nil {
		return
	}
	parseService(u, out)
}

// Log is what the event log has of the service, the newest last.
func (s tasks) Log(ctx context.Context, n int) ([]string, error) {
	out, err := output(ctx, nil, s.tool("wevtutil.exe"), "qe", "Application", "/c:1", "/rd:true", "/f:text",
		"/q:*[System[Provider[@Name='"+taskName()+"']]]")
	return lastLines(out, n), err
}

// Variables are those of the user's registry, which this program has as well.
func (s tasks) Variables(context.Context) []string { return nil }

// linger: a task that runs at logon ends with it.
func linger(context.Context, *exam) []Finding { return nil }
