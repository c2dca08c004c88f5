package agent_test

import (
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

func TestP6TransientTroubleIsRetriedWithinAFlight(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) {
			s.judge = func(n int, _ provider.Request) error {
				if n < 4 {
					return down
				}
				return nil
			}
		})
		start := time.Now()
		w.mustToken("")
		w.mustCount(4)
		if d := time.Since(start); d > 5*time.Second || d < time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestP6ForegroundMayTryAgainAfterASecond(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(down)
		_, err := w.token("")
		w.mustFail(err, ipc.CodeUnreachable)
		n := w.server.count()
		w.atOnce(func() {
			for range 100 {
				_, err := w.token("")
				if e := w.mustFail(err, ipc.CodeUnreachable); e.Retry != 1 {
					t.Fatalf("retry in %d s", e.Retry)
				}
			}
		})
		w.mustCount(n)
		w.failWith(nil)
		time.Sleep(time.Second)
		w.mustToken("")
	})
}

func TestT10RetryAfterIsHonoured(t *testing.T) {
	for _, c := range []struct {
		after, want time.Duration // what the server asks, and when it is asked again
	}{
		{2 * time.Second, 2 * time.Second},
		{1500 * time.Millisecond, 2 * time.Second}, // the header has whole seconds
		{10 * time.Second, 10 * time.Second},
		{2 * time.Minute, 2 * time.Minute}, // longer than a flight
		{100 * 24 * time.Hour, time.Hour},  // no server shuts us out for ever
	} {
		t.Run(c.after.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.server.set(func(s *server) {
					s.judge = func(n int, _ provider.Request) error {
						if n > 1 {
							return nil
						}
						return &provider.Error{Class: provider.Transient, Status: 429, Message: "429 too many requests", RetryAfter: c.after}
					}
				})
				for range 2 * 3700 {
					if _, err := w.token(""); err == nil {
						break
					}
					time.Sleep(500 * time.Millisecond)
				}
				calls := w.server.calls()
				if len(calls) != 2 {
					t.Fatalf("%d exchanges", len(calls))
				}
				if d := calls[1].at - calls[0].at; d < c.want || d > c.want+time.Second {
					t.Errorf("asked again after %v, want %v", d, c.want)
				}
			})
		})
	}
}

func TestT10WithRetryAfterRenewalWaitsToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		time.Sleep(19 * time.Minute)
		w.mustToken("")
		w.failWith(&provider.Error{Class: provider.Transient, Status: 429, Message: "429", RetryAfter: 4 * time.Minute})
		if n := w.impatient(5*time.Minute, ipc.TokenRequest{}); n > 2 {
			t.Errorf("%d exchanges", n)
		}
	})
}
