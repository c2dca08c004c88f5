//go:build darwin || windows

package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/launch"
)

// patience with a program of the system: PowerShell takes seconds to start.
const patience = 20 * time.Second

// run runs a program that shows something. Its error is expiry.ErrNobody if
// there is no such program.
func run(ctx context.Context, prepare func(*exec.Cmd), program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second // a child of its own may hold stderr open
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = launch.Environment(os.Environ())
	prepare(cmd)
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", program, ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: %w", expiry.ErrNobody, err)
	}
	return fmt.Errorf("%s: %w: %s", program, err, line(strings.TrimSpace(stderr.String()), 200))
}
