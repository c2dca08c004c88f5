package launch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// openTime is how long all of Open may take.
const openTime = 20 * time.Second

// maxURL bounds a page's address, in bytes; browsers and command lines have
// limits of their own.
const maxURL = 2000

// ErrDismissed is wrapped by the error of Open where the person was asked
// which program to take, and did not want any.
var ErrDismissed = errors.New("the dialog was dismissed")

// Open opens a page in the user's browser: an https URL, or an http URL of a
// loopback host. It returns once the desktop has taken it, or when ctx or 20
// seconds are over; its error says what else can be done.
func (l *Launcher) Open(ctx context.Context, page string) error {
	page, err := checkPage(page)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if err := l.open(ctx, page); err != nil {
		return fmt.Errorf("no browser could be opened (%w): open it yourself: %s", err, page)
	}
	return nil
}

// checkPage returns the URL in a form that no program takes for anything else.
func checkPage(page string) (string, error) {
	u, err := url.Parse(page)
	if err != nil || len(page) > maxURL {
		return "", errors.New("this is no URL of a page")
	}
	host := u.Hostname()
	ip, _ := netip.ParseAddr(host)
	switch {
	case u.Opaque != "" || host == "" || u.User != nil:
		return "", errors.New("this is no URL of a page")
	case u.Scheme == "https", u.Scheme == "http" && (host == "localhost" || ip.IsLoopback()):
	default:
		return "", fmt.Errorf("only https pages are opened, not %q", u.Scheme)
	}
	text := u.String()
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'`<>\\^{|}", r) }) {
		return "", errors.New("the URL has characters that none may have")
	}
	return text, nil
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
