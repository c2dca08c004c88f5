package doctor

import (
	"strconv"
	"strings"
)

// What service managers say of a unit. The readers are here, and not beside
// those who ask, so that they are tested on every system.

// parseUnit reads one block of systemctl show: NAME=value, a line each.
func parseUnit(block string) (u Unit) {
	for line := range strings.Lines(block) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		switch name {
		case "Id":
			u.Name = value
		case "LoadState":
			u.Load = value
		case "LoadError":
			// org.freedesktop.systemd1.BadUnitSetting "Unit has a bad setting"
			_, text, _ := strings.Cut(value, " ")
			u.Error = strings.Trim(text, `"`)
		case "ActiveState":
			u.Active = value
		case "SubState":
			u.Sub = value
		case "Result":
			u.Result = value
		case "ExecMainStatus":
			u.Exit = value
		case "MainPID":
			u.PID = positive(value)
		case "FragmentPath":
			u.File = value
		case "UnitFileState":
			u.Enabled = value
		case "NeedDaemonReload":
			u.Stale = value == "yes"
		case "ExecStart":
			// { path=/usr/bin/csp-agent ; argv[]=/usr/bin/csp-agent run ; ... }
			if _, rest, ok := strings.Cut(value, "path="); ok {
				u.Program, _, _ = strings.Cut(rest, " ;")
			}
		}
	}
	return u
}

// parsePrint reads the lines NAME = value of launchctl print.
func parsePrint(u *Unit, out string) {
	for line := range strings.Lines(out) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " = ")
		if !found {
			continue
		}
		switch name {
		case "state":
			u.Sub = value
			if value == "running" {
				u.Active = "active"
			}
		case "program":
			u.Program = value
		case "pid":
			u.PID = positive(value)
		case "last exit code":
			u.Exit, _, _ = strings.Cut(value, ":")
			if u.Exit != "0" && u.Exit != "(never exited)" {
				u.Result = "exit-code"
			} else {
				u.Exit = ""
			}
		}
	}
	if u.Result != "" && u.PID == 0 {
		u.Active = "failed"
	}
}

// parseTask reads the XML of a task of the Task Scheduler, in one byte for each
// letter or two. Where there is none of it, there is no such task.
func parseTask(u *Unit, xml string) {
	xml = strings.ReplaceAll(xml, "\x00", "")
	if !strings.Contains(xml, "<Task") {
		return
	}
	u.Load, u.Sub = "loaded", "scheduled"
	u.Program = strings.Trim(element(xml, "Command"), `"`)
	// Of the settings; triggers have one of their own.
	if strings.EqualFold(element(element(xml, "Settings"), "Enabled"), "false") {
		u.Load = "masked"
	}
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

// parseService reads sc.exe queryex, whose numbers are the same in every
// language: STATE : 4 RUNNING, WIN32_EXIT_CODE : 0, PID : 1234.
func parseService(u *Unit, out string) {
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
			u.PID = positive(fields[0])
		}
	}
	if u.Result != "" && u.Active != "active" {
		u.Active = "failed"
	}
}

// positive reads a number; 0 if it is none.
func positive(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
