package doctor

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// expiryWarn is how long before the end of an API token somebody should make
// another one: the default of cspctl expiry.
const expiryWarn = 14 * 24 * time.Hour

// profiles tells which profiles give no token, and why.
func profiles(_ context.Context, e *exam) (found []Finding) {
	if !e.inside() {
		return nil
	}
	list := e.profiles()
	if len(list) == 0 {
		return []Finding{info("there is none: cspctl login")}
	}
	for _, p := range list {
		found = append(found, e.profile(p).subject(p.name))
	}
	return found
}

func (e *exam) profile(p profile) Finding {
	login := "cspctl login " + p.name
	renew := "cspctl open " + p.name + ", make a new one there, then: " + login
	st := e.reply().status
	switch {
	case p.loggedOut:
		return info("logged out; to use it again: " + login)
	case p.store == provider.Memory && (st == nil || p.loggedIn.Before(st.StartedAt)):
		return fail("its secret was in the memory of an agent that has ended", login+"; to keep it longer: --store file")
	case p.status == nil:
		return info("logged in; how it is with it, an agent knows that runs")
	case p.status.Deactivated:
		return fail("its API token was deactivated in the console", "activate it there: cspctl open "+p.name+", or make a new one, then: "+login)
	case p.status.State == ipc.StateRefused:
		f := fail("the server refuses its secret for good", renew)
		if p.status.LastError != nil {
			f.Detail = message(p.status.LastError)
		}
		return f
	}
	if f := expires(p, renew); f != nil {
		return *f
	}
	switch last := p.status.LastError; {
	case last != nil && p.status.State != ipc.StatePasscode:
		f := warn("the last exchange failed: "+last.Message, cmp.Or(last.Hint, "cspctl token "+p.name+", and see what it says"))
		if p.status.RetryAt != nil {
			f.Detail = "the next try is at " + p.status.RetryAt.UTC().Format(time.RFC3339)
		}
		if last.Code == ipc.CodeStoreLocked || last.Code == ipc.CodeStoreAbsent || last.Code == ipc.CodeNotLoggedIn {
			f.State = Fail
		}
		return f
	case p.status.State == ipc.StatePasscode:
		return info("each exchange needs a one-time passcode: cspctl token " + p.name + " --passcode N")
	}
	return ok(p.status.State)
}

// expires tells of an API token that has expired, or soon will; nil if not.
func expires(p profile, renew string) *Finding {
	x := p.expiry
	if x == nil {
		return nil
	}
	var f Finding
	left := time.Until(x.ExpiresAt)
	switch at := x.ExpiresAt.UTC().Format(time.RFC3339); {
	case x.Refused:
		f = fail("the server knows its API token no more", renew)
	case x.Status != ipc.ExpiryKnown || left > expiryWarn:
		return nil
	case left <= 0:
		f = fail("its API token expired at "+at, renew)
	default:
		f = warn(fmt.Sprintf("its API token expires in %s, at %s", inDays(left), at), renew)
	}
	return &f
}

func inDays(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return d.Round(time.Minute).String()
}
