package launch

import "time"

// Hurry shortens the waits of a Launcher.
func Hurry(l *Launcher) *Launcher {
	l.limits = limits{
		kill: 300 * time.Millisecond, manager: time.Second, early: 500 * time.Millisecond,
		portalStart: time.Second, portalAnswer: 300 * time.Millisecond,
	}
	return l
}
