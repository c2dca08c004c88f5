// Package windows holds the task that `csp-agent install` registers on Windows.
package windows

import _ "embed"

// Task is a task of the Task Scheduler (Task Scheduler Schema), in which
// USER_SID and AGENT_PATH stand for themselves.
//
//go:embed csp-agent.xml
var Task string
