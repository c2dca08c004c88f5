package doctor

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
)

// taskName is the agent's name in the Task Scheduler, and as a service.
const taskName = "csp-agent"

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
		return "sc.exe query " + taskName
	}
	return "schtasks.exe /Query /TN " + taskName
}

func (s tasks) tool(name string) string {
	return filepath.Join(s.getenv("SystemRoot"), "System32", name)
}

func (s tasks) Find(ctx context.Context) (Found, error) {
	if !filepath.IsAbs(s.getenv("SystemRoot")) {
		return Found{}, errors.New("SystemRoot is not set")
	}
	u := Unit{Name: taskName, Load: "not-found", Active: "inactive", Sub: "not running"}
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
	xml, err := output(ctx, nil, s.tool("schtasks.exe"), "/Query", "/TN", taskName, "/XML")
	if err != nil {
		return
	}
	u.Load, u.Sub = "loaded", "scheduled"
	u.Program = strings.Trim(element(xml, "Command"), `"`)
	// Of the settings; triggers have one of their own.
	if settings := element(xml, "Settings"); strings.EqualFold(element(settings, "Enabled"), "false") {
		u.Load = "masked"
	}
	u.File = taskName
}

// element returns the text of the first element of that name.
func element(xml, name string) string {
	_, rest, _ := strings.Cut(xml, "<"+name+">")
	text, _, found := strings.Cut(rest, "</"+name+">")
	if !found {
		return ""
	}
	return strings.TrimSpace(text)
}

// service reads sc.exe queryex, whose numbers are the same in every language:
// STATE : 4 RUNNING, WIN32_EXIT_CODE : 0, PID : 1234.
func (s tasks) service(ctx context.Context, u *Unit) {
	out, err := output(ctx, nil, s.tool("sc.exe"), "queryex", taskName)
	if err != nil {
		return
	}
	u.Load = "loaded"
	for line := range strings.Lines(out) {
		name, value, found := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if !found || len(fields) == 0 {
			continue
		}
		switch strings.TrimSpace(name) {
		case "STATE":
			if len(fields) > 1 {
				u.Sub = strings.ToLower(fields[1])
			}
			if fields[0] == "4" {
				u.Active = "active"
			}
		case "WIN32_EXIT_CODE":
			if fields[0] != "0" && fields[0] != "1077" { // ERROR_SERVICE_NEVER_STARTED
				u.Exit, u.Result = fields[0], "exit-code"
			}
		case "PID":
			u.PID, _ = strconv.Atoi(fields[0])
		}
	}
	if u.Result != "" && u.Active != "active" {
		u.Active = "failed"
	}
}

// Log is in the event log, which is not read here.
func (s tasks) Log(context.Context, int) ([]string, error) {
	return []string{"see Event Viewer, Windows Logs, Application"}, nil
}

// Variables are those of the user's registry, which this program has as well.
func (s tasks) Variables(context.Context) []string { return nil }

// linger: a task that runs at logon ends with it.
func linger(context.Context, *exam) []Finding { return nil }
