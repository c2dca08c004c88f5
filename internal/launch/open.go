package launch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// openTime is how long all of Open may take.
const openTime = 20 * time.Second

// ErrDismissed is wrapped by the error of Open where the person was asked
// which program to take, and did not want any.
var ErrDismissed = errors.New("the dialog was dismissed")

// Open opens a page in the user's browser: an https URL, or an http URL of a
// loopback host. It returns once the desktop has taken it, or when ctx or 20
// seconds are over; its error says what else can be done.
func (l *Launcher) Open(ctx context.Context, page string) error {
	if !provider.IsPage(page) {
		return errors.New("this is no page to open: it must be https, or http on this machine")
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if err := l.open(ctx, page); err != nil {
		return fmt.Errorf("no browser could be opened (%w): open it yourself: %s", err, page)
	}
	return nil
}

// openChild starts a program that opens a page. It outlives the agent, since
// it may turn into the browser.
func (l *Launcher) openChild(ctx context.Context, argv ...string) error {
	cmd := l.prepare(argv)
	done, err := startAlone(ctx, cmd)
	if err != nil {
		return notStarted(ctx, argv[0], err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		done()
	}()
	select {
	case err := <-ended:
		if err != nil {
			return childError(argv[0], err, "")
		}
	case <-time.After(l.limits.early):
	case <-ctx.Done(): // it was started, and may still become the browser
	}
	return nil
}
