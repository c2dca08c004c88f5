package agent

import "github.com/cspctl/cspctl/internal/ipc"

// Snapshot tells what the agent remembers of its profiles: of all how they
// are, and of those that are logged in when their API tokens end, each sorted
// by name. It asks no server and no store, and waits for neither. Its error is
// that of a state file which can't be used.
func (a *Agent) Snapshot() ([]ipc.ProfileStatus, []ipc.ProfileExpiry, error) {
	c, bad := a.state.load()
	if bad != nil {
		return nil, nil, bad
	}
	now := a.Clock.Now()
	var all []ipc.ProfileStatus
	var ends []ipc.ProfileExpiry
	for _, rec := range c.sorted() {
		all = append(all, rec.status(c.Default, now))
		if !rec.LoggedOut {
			ends = append(ends, rec.expiry())
		}
	}
	return all, ends, nil
}
