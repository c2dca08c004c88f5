package main

import (
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

func (v view) stateLook(p *ipc.ProfileStatus) func(string) string {
	switch p.State {
	case ipc.StateReady:
		return v.style.Green
	case ipc.StateIdle, ipc.StateLoggedOut:
		return v.style.Dim
	case ipc.StateFailing, ipc.StatePasscode:
		return v.style.Yellow
	case ipc.StateRefused:
		return v.style.Red
	}
	return nil
}

// life returns a bar and the time left.
func (v view) life(left, whole time.Duration, bar int) string {
	if whole <= 0 {
		return term.Span(left) + " left"
	}
	return v.marks.Bar(left, whole, bar) + " " + term.Span(left)
}

// access returns the life of the access token that is cached.
func (v view) access(p *ipc.ProfileStatus, bar int) term.Cell {
	t := p.AccessToken
	if t == nil {
		return term.Cell{Text: "none", Look: v.style.Dim}
	}
	left := t.ExpiresAt.Sub(v.now)
	switch {
	case left <= 0: // the agent went away, and can't renew it
		return term.Cell{Text: "expired " + term.Relative(t.ExpiresAt, v.now), Look: v.style.Red}
	case p.LastError != nil, left < time.Minute:
		return term.Cell{Text: v.life(left, t.ExpiresAt.Sub(t.ObtainedAt), bar), Look: v.style.Yellow}
	}
	return term.Cell{Text: v.life(left, t.ExpiresAt.Sub(t.ObtainedAt), bar), Look: v.style.Green}
}

// renewal says when there will be another access token.
func (v view) renewal(p *ipc.ProfileStatus) string {
	switch {
	case p.State == ipc.StateLoggedOut:
		return "after login"
	case p.RetryAt != nil && !p.RetryAt.After(v.now): // by the next call, or the next renewal
		return "retry now"
	case p.RetryAt != nil:
		return "retry " + term.Relative(*p.RetryAt, v.now)
	case p.State == ipc.StateRefused:
		return "after login"
	case p.State == ipc.StatePasscode:
		return "by passcode"
	case p.AccessToken != nil && p.AccessToken.RenewAt != nil:
		return term.Relative(*p.AccessToken.RenewAt, v.now)
	}
	return "when asked"
}

// apiToken returns the life of the API token: of the whole since it was made,
// or, where that is not known, since the login.
func (v view) apiToken(p *ipc.ProfileStatus, bar int) term.Cell {
	e := p.APIToken
	switch {
	case p.State == ipc.StateLoggedOut:
		return term.Cell{Text: "none", Look: v.style.Dim}
	case p.Deactivated:
		return term.Cell{Text: "deactivated", Look: v.style.Red}
	case p.State == ipc.StateRefused: // whatever it says of its end
		return term.Cell{Text: "refused", Look: v.style.Red}
	case e == nil && p.Provider != "csp": // no other system tells
		return term.Cell{Text: "no expiry told", Look: v.style.Dim}
	case e == nil, !e.Never && e.ExpiresAt == nil:
		return term.Cell{Text: "expiry unknown", Look: v.style.Yellow}
	case e.Never:
		return term.Cell{Text: "never expires", Look: v.style.Green}
	}
	left := e.ExpiresAt.Sub(v.now)
	if left <= 0 {
		return term.Cell{Text: "expired " + term.Relative(*e.ExpiresAt, v.now), Look: v.style.Red}
	}
	since := e.CreatedAt
	if since.IsZero() {
		since = p.LoggedIn
	}
	whole := time.Duration(0)
	if !since.IsZero() {
		whole = e.ExpiresAt.Sub(since)
	}
	look := expiryLook(e, v.now, v.style)
	if look == nil {
		look = v.style.Green
	}
	return term.Cell{Text: v.life(left, whole, bar), Look: look}
}

// notes returns the lines below a profile: what is wrong, and what to do.
func (v view) notes(p *ipc.ProfileStatus) (lines []string) {
	say := func(text string, look func(string) string) {
		for _, l := range term.Wrap(term.Clean(text), v.room(4)) {
			if look != nil {
				l = look(l)
			}
			lines = append(lines, "    "+l)
		}
	}
	ends, look := v.ends(p)
	if e := p.LastError; e != nil {
		errorLook := v.stateLook(p)
		if p.State == ipc.StateReady {
			errorLook = v.style.Yellow
		}
		say(e.Message, errorLook)
		if e.Hint != "" && ends == "" {
			say("hint: "+e.Hint, v.style.Dim)
		}
	}
	if ends == "" {
		return lines
	}
	say(ends, look)
	again := "cspctl login " + p.Name
	if p.RenewURL != "" {
		again = "cspctl open " + p.Name + ", then " + again
	}
	hint := "hint: make a new one: "
	if p.Deactivated {
		hint = "hint: activate it there, or make a new one: "
	}
	say(hint+again, v.style.Dim)
	return lines
}

// ends says that an API token has ended or ends soon; "" if it does not.
func (v view) ends(p *ipc.ProfileStatus) (text string, look func(string) string) {
	which := "the API token"
	if p.TokenName != "" {
		which += ` "` + p.TokenName + `"`
	}
	e := p.APIToken
	switch {
	case p.State == ipc.StateLoggedOut:
	case p.Deactivated:
		return which + " was deactivated in the console", v.style.Red
	case e == nil || e.ExpiresAt == nil:
	case !e.ExpiresAt.After(v.now):
		return which + " has expired", v.style.Red
	case e.ExpiresAt.Sub(v.now) < warnLeft:
		return which + " ends on " + e.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC"), expiryLook(e, v.now, v.style)
	}
	return "", nil
}

// expiryLook colours the life left of an API token as cspctl expiry judges it,
// unless told otherwise: red is critical, yellow a warning. The stages at which
// the agent warns are settings, and may be others.
func expiryLook(e *ipc.Expiry, now time.Time, s term.Style) func(string) string {
	if e == nil || e.ExpiresAt == nil {
		return nil
	}
	switch left := e.ExpiresAt.Sub(now); {
	case left <= 0, left < criticalLeft:
		return s.Red
	case left < warnLeft:
		return s.Yellow
	}
	return nil
}
