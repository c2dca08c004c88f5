//go:build unix

package launch

import (
	"context"
	"time"
)

// openChild starts a program that opens a page. It outlives the agent, since
// it may turn into the browser.
func (l *Launcher) openChild(ctx context.Context, argv ...string) error {
	cmd := l.prepare(argv)
	g, err := startGroup(ctx, cmd)
	if err != nil {
		return notStarted(ctx, argv[0], err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		g.close()
	}()
	select {
	case err := <-ended:
		if err != nil {
			return childError(argv[0], err, "")
		}
	case <-time.After(openEarly):
	case <-ctx.Done():
	}
	return nil
}
