package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Services is the service manager, as far as an examination asks it. It never
// prompts and changes nothing.
type Services interface {
	// Find tells how it is with the agent's service. Its error means that the
	// manager can't be asked.
	Find(ctx context.Context) (Found, error)
	// Log is the last lines of the service's log.
	Log(ctx context.Context, lines int) ([]string, error)
	// Variables is the environment that the manager gives to services, as
	// NAME=value; nil where that is not known.
	Variables(ctx context.Context) []string
}

// The service managers.
const (
	systemdManager = "systemd"
	launchdManager = "launchd"
	taskScheduler  = "the Task Scheduler"
)

// Found is what a service manager says of the agent's service.
type Found struct {
	Manager string // one of the above
	None    string // why there is no such manager here; empty: there is one
	Units   []Unit
}

// Unit is one part of the service: the service itself, or its socket.
type Unit struct {
	Name    string // csp-agent.service
	Load    string // loaded, not-found, masked, bad-setting, error
	Active  string // active, inactive, failed, activating
	Sub     string // the manager's own word for it
	Result  string // of the last run: success, exit-code, signal, start-limit-hit, ...
	Exit    string // of the last run: its exit status
	File    string // where it is defined
	Enabled string // enabled, disabled, static, ...
	Stale   bool   // its file was changed after the manager had read it
	Error   string // why it could not be loaded
	Program string // what it runs; empty: not told
	PID     int    // 0: it does not run
}

// units is what was found, or why nothing was.
type units struct {
	Found
	err error
	pid int // of the service's process; 0: none
}

func (e *exam) findUnits(ctx context.Context) units {
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	found, err := e.Services.Find(ctx)
	u := units{Found: found, err: err}
	for _, unit := range found.Units {
		u.pid = max(u.pid, unit.PID)
	}
	return u
}

func (u units) installed() bool {
	for _, unit := range u.Units {
		if unit.Load != "not-found" {
			return true
		}
	}
	return false
}

// service looks at the agent as a service, and why it failed.
func service(ctx context.Context, e *exam) []Finding {
	u := e.units()
	missing := func(why string) []Finding {
		switch {
		case e.System && u.None != "":
			return []Finding{fail("the agent is no service of the system's: "+why, "use agents of the users' own, which cspctl starts by itself: cspctl doctor")}
		case e.System:
			return []Finding{fail("the agent is no service of the system's: "+why, "csp-agent install --system")}
		}
		return []Finding{info("the agent is no service (" + why + "): cspctl starts it when it is needed")}
	}
	switch {
	case u.None != "":
		return missing(u.None)
	case u.err != nil:
		return []Finding{warn("the service manager can't be asked: "+because(u.err), "see whether it works: "+managerStatus(e.System))}
	case !u.installed():
		return missing("nothing is installed")
	}
	var found []Finding
	for _, unit := range u.Units {
		found = append(found, e.unit(ctx, unit)...)
	}
	var states []string
	for _, unit := range u.Units {
		if unit.Load == "loaded" {
			states = append(states, unit.Name+" is "+unit.Active+" ("+unit.Sub+")")
		}
	}
	return orFine(found, ok(strings.Join(states, ", ")))
}

func (e *exam) unit(ctx context.Context, u Unit) (found []Finding) {
	install, start, ctl := "csp-agent install", "csp-agent start", "systemctl --user "
	if e.System {
		install, start, ctl = install+" --system", start+" --system", "systemctl "
	}
	reload, reset, unmask := ctl+"daemon-reload", ctl+"reset-failed csp-agent.service csp-agent.socket; ", ctl+"unmask "+u.Name
	switch e.units().Manager {
	case taskScheduler:
		reload, reset, unmask = install, "", "schtasks.exe /Change /TN "+u.Name+" /ENABLE"
	case launchdManager:
		reload, reset, unmask = install, "", "launchctl enable "+u.Name
	}
	log := func() string {
		lines, err := e.Services.Log(ctx, 5)
		if err != nil {
			return "its log can't be read: " + because(err)
		}
		return strings.Join(lines, "\n")
	}
	switch {
	case u.Load == "not-found":
		if strings.HasSuffix(u.Name, ".service") {
			return []Finding{fail(u.Name+" is missing, and its socket is installed", install)}
		}
		return nil
	case u.Load == "masked":
		return []Finding{warn(u.Name+" is masked: the service manager starts no agent", unmask)}
	case u.Load != "loaded":
		return []Finding{fail(fmt.Sprintf("%s can't be loaded (%s): its file %s is damaged or was written by halves", u.Name, u.Load, u.File),
			install+", or correct it, then: "+reload).detail(u.Error)}
	}
	if u.Stale {
		found = append(found, warn("the file of "+u.Name+" was changed, and the service manager still has the old one", reload))
	}
	if u.Program != "" {
		if _, err := os.Stat(u.Program); err != nil {
			found = append(found, fail(u.Name+" runs "+u.Program+", which is not there", install))
		} else if e.Exe != "" && !sameFile(u.Program, e.Exe) {
			found = append(found, info(u.Name+" runs "+u.Program+", and cspctl finds "+e.Exe))
		}
	}
	if u.Active == "failed" {
		why := u.Result
		if u.Exit != "" && u.Exit != "0" {
			why += ", exit status " + u.Exit
		}
		found = append(found, fail(u.Name+" failed ("+why+")"+meaning(u),
			"correct what its log says, then: "+reset+start).detail(log()))
	} else if u.Result != "" && u.Result != "success" && u.Active != "active" {
		found = append(found, warn(u.Name+" ended badly the last time ("+u.Result+meaning(u)+") and is "+u.Active, "correct what its log says, then: "+start).detail(log()))
	}
	if u.Enabled == "disabled" && strings.HasSuffix(u.Name, ".socket") {
		found = append(found, info(u.Name+" is not enabled: it does not start at login; to change that: "+ctl+"enable --now "+u.Name))
	}
	return found
}

// meaning explains the results that are not the agent's own.
func meaning(u Unit) string {
	switch {
	case u.Result == "start-limit-hit":
		return ": it ended at once, again and again"
	case u.Result == "oom-kill":
		return ": the machine had no memory left"
	case u.Result == "watchdog", u.Result == "timeout":
		return ": it did not answer in time"
	case u.Exit == "203":
		return ": its program can't be run"
	case u.Exit == "217":
		return ": its user does not exist"
	case u.Exit == "226":
		return ": its sandbox can't be made here, as in a container"
	case u.Exit == "243":
		return ": a credential of LoadCredential= is missing"
	case u.Exit == "17":
		return ": another agent has the socket"
	}
	return ""
}
