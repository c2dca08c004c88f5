package keychain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lane runs the calls to a keychain one after another, each on a goroutine of
// its own that may be given up: the libraries below know no deadline, and
// panic where a bus dies under them.
type lane struct {
	slot chan struct{} // held by the call under way

	mu    sync.Mutex
	stuck int       // calls that were given up and have not come back
	since time.Time // when the last of them was given up
}

const (
	// graceAfter is how long an interrupted call has to come back before it
	// counts as stuck.
	graceAfter = 250 * time.Millisecond
	// While a call is stuck, others are refused at once rather than piled up
	// behind the same wall; but one may try again after each stuckPause, until
	// maxStuck goroutines are lost.
	stuckPause = 30 * time.Second
	maxStuck   = 3
)

var (
	errStuck   = errors.New("an earlier call has not come back")
	errBusy    = errors.New("an earlier call is still under way")
	errTimeout = errors.New("no answer in time")
)

// A job is one call. All hooks but call may be nil.
type job struct {
	call func(ctx context.Context) error
	// interrupt makes the call come back early, where that can be done.
	interrupt func()
	// settle is told the result before the next job may start. Unless the
	// result is nil, the call may be under way still.
	settle func(err error)
	// late is called when a call that was given up came back.
	late func()
}

func newLane() *lane { return &lane{slot: make(chan struct{}, 1)} }

// do runs a job. Besides the job's own errors it returns errStuck and errBusy,
// where the job was not started, and errTimeout, where it was given up: it may
// still take effect.
func (l *lane) do(ctx context.Context, j job) error {
	if err := l.admit(); err != nil {
		return err
	}
	select {
	case l.slot <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
	defer func() { <-l.slot }()
	if err := l.admit(); err != nil {
		return err
	}
	err := l.run(ctx, j)
	if j.settle != nil {
		j.settle(err)
	}
	return err
}

// admit returns errStuck while calls are refused.
func (l *lane) admit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stuck >= maxStuck || l.stuck > 0 && time.Since(l.since) < stuckPause {
		return errStuck
	}
	return nil
}

func (l *lane) run(ctx context.Context, j job) error {
	done := make(chan error, 1)
	givenUp := false // under l.mu
	go func() {
		err := recovered(ctx, j.call)
		l.mu.Lock()
		late := givenUp
		if late {
			l.stuck--
		} else {
			done <- err
		}
		l.mu.Unlock()
		if late && j.late != nil {
			j.late()
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if j.interrupt != nil {
		go j.interrupt() // not here: it may block in its turn
	}
	grace := time.NewTimer(graceAfter)
	defer grace.Stop()
	select {
	case err := <-done:
		return inTime(ctx, err)
	case <-grace.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case err := <-done:
		return inTime(ctx, err)
	default:
	}
	givenUp = true
	l.stuck++
	l.since = time.Now()
	return fmt.Errorf("%w: %w", errTimeout, ctx.Err())
}

// inTime is the result of a call that came back after it was interrupted.
func inTime(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w: %w", errTimeout, ctx.Err(), err)
}

// recovered calls f and makes an error of a panic: go-keyring dereferences nil
// if the session bus goes away under a prompt.
func recovered(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the keychain library panicked: %v", r)
		}
	}()
	return f(ctx)
}
