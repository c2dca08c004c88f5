package agent

import (
	"maps"

	"github.com/cspctl/cspctl/internal/ipc"
)

// maxCaller bounds the name of a caller, in bytes; maxCallers how many are
// remembered for a profile.
const (
	maxCaller  = 64
	maxCallers = 256
)

// callers are those who named themselves, each with when the token that it was
// given expires, as it was told: from then on it asks without need of a refusal.
// It is guarded by the account's mu.
type callers map[string]Instant

// again reports whether a caller asks while it holds a token that has not
// expired: a server has refused it.
func (c callers) again(name string, now Instant) bool {
	end, ok := c[name]
	return ok && end.Until(now) > 0
}

// noteCaller remembers that a caller was given t at now.
func (acct *account) noteCaller(name string, t ipc.Token, now Instant) {
	if name == "" || t.ExpiresAt.IsZero() {
		return
	}
	acct.mu.Lock()
	defer acct.mu.Unlock()
	if acct.callers == nil {
		acct.callers = callers{}
	}
	if _, ok := acct.callers[name]; !ok && len(acct.callers) >= maxCallers {
		maps.DeleteFunc(acct.callers, func(_ string, end Instant) bool { return end.Until(now) <= 0 })
		for oldest := range acct.callers { // whichever: it is asked for once more than needed
			if len(acct.callers) < maxCallers {
				break
			}
			delete(acct.callers, oldest)
		}
	}
	acct.callers[name] = now.Add(t.ExpiresAt.Sub(now.Wall))
}
