package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/service"
)

// endTime is how long an agent may take to end: requests under way are
// answered first.
const endTime = 10 * time.Second

// endDetached ends an agent at the service's socket that is not the service,
// such as one that cspctl started. It says which secrets end with it. None is
// fine.
func (c *serviceCall) endDetached() error {
	if c.unsupported == nil {
		st, err := c.Status(c.ctx)
		if err == nil && (st.State == service.Running || st.State == service.Waiting) {
			return nil
		}
	}
	st, err := c.ask()
	if e, ok := errors.AsType[*ipc.Error](err); ok && e.Code == ipc.CodeAgent {
		return nil // nobody there
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, endTime)
	defer cancel()
	if err := terminate(st.PID); err != nil {
		return fmt.Errorf("the agent that runs (pid %d) can't be ended: %w", st.PID, err)
	}
	for {
		now, err := c.ask()
		if err != nil || now.PID != st.PID {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the agent that runs (pid %d) does not end: kill it", st.PID)
		case <-time.After(10 * time.Millisecond):
		}
	}
	fmt.Printf("ended the agent that ran (pid %d)\n", st.PID)
	var gone []string
	for _, p := range st.Profiles {
		if p.Store == provider.Memory && !p.LoggedIn.IsZero() {
			gone = append(gone, p.Name)
		}
	}
	if len(gone) > 0 {
		fmt.Fprintf(os.Stderr, "csp-agent: warning: its memory held the secrets of %s\ncsp-agent: hint: log in again: cspctl login %s\n",
			strings.Join(gone, ", "), gone[0])
	}
	return nil
}
