package agent_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// What the agent makes of an answer: how long it serves the token.
func TestP2T3LifeOfAnAnswer(t *testing.T) {
	const hour = time.Hour
	at := func(d time.Duration) time.Time { return epoch.Truncate(time.Second).Add(d) }
	for _, c := range []struct {
		name string
		t    provider.Token // times by the server's clock, counted from epoch
		want time.Duration  // 0: not cached; -1: an error
	}{
		{"expires_in alone", provider.Token{ExpiresIn: hour}, hour},
		{"all agree", provider.Token{ExpiresIn: hour, IssuedAt: at(0), ExpiresAt: at(hour), ServerTime: at(0)}, hour - time.Second},
		{"exp is earlier", provider.Token{ExpiresIn: hour, ExpiresAt: at(hour / 2), ServerTime: at(0)}, hour/2 - time.Second},
		{"exp is later", provider.Token{ExpiresIn: hour / 2, ExpiresAt: at(hour), ServerTime: at(0)}, hour / 2},
		{"exp and Date alone", provider.Token{ExpiresAt: at(hour), ServerTime: at(0)}, hour - time.Second},
		{"exp, an old iat", provider.Token{IssuedAt: at(-hour), ExpiresAt: at(hour), ServerTime: at(0)}, hour - time.Second},
		{"iat bounds expires_in", provider.Token{ExpiresIn: hour, IssuedAt: at(0), ExpiresAt: at(hour / 2)}, hour/2 - time.Second},
		{"iat after exp", provider.Token{ExpiresIn: hour, IssuedAt: at(2 * hour), ExpiresAt: at(hour), ServerTime: at(0)}, hour - time.Second},
		{"nothing", provider.Token{}, 0},
		{"nothing but Date", provider.Token{ServerTime: at(0)}, 0},
		{"nothing but iat", provider.Token{IssuedAt: at(0), ServerTime: at(0)}, 0},
		{"negative", provider.Token{ExpiresIn: -1}, 0},
		{"absurd", provider.Token{ExpiresIn: math.MaxInt64}, 365 * 24 * hour},
		{"exp in the year 9999", provider.Token{ExpiresAt: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ServerTime: at(0)}, 365 * 24 * hour},
		{"exp in the past", provider.Token{ExpiresAt: at(-hour), ServerTime: at(0)}, -1},
		{"exp in the past, expires_in says not", provider.Token{ExpiresIn: hour, ExpiresAt: at(-hour), ServerTime: at(0)}, -1},
		{"exp now", provider.Token{ExpiresIn: hour, ExpiresAt: at(0), ServerTime: at(0)}, -1},
		{"exp within the second that Date may hide", provider.Token{ExpiresAt: at(time.Second), ServerTime: at(0)}, -1},
		{"exp in two seconds", provider.Token{ExpiresAt: at(2 * time.Second), ServerTime: at(0)}, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.server.set(func(s *server) {
					s.edit = func(out *provider.Token) {
						access := out.Access
						*out = c.t
						out.Access = access
					}
				})
				reply, err := w.Token(t.Context(), ipc.TokenRequest{})
				switch {
				case c.want < 0:
					e := w.mustFail(err, ipc.CodeUnreachable)
					if e.Hint == "" {
						t.Error("no hint")
					}
					w.mustCount(1) // tried again at once, it would say the same
				case err != nil:
					t.Fatal(err)
				case c.want == 0:
					if reply.ExpiresIn != 0 || !reply.ExpiresAt.IsZero() {
						t.Errorf("the reply makes up %d s, %v", reply.ExpiresIn, reply.ExpiresAt)
					}
					w.mustToken("")
					w.mustCount(2)
				case reply.ExpiresIn != int64(c.want/time.Second):
					t.Errorf("lives for %d s, want %v", reply.ExpiresIn, c.want)
				default:
					w.mustToken("")
					w.mustCount(1)
				}
			})
		})
	}
}

// Without Date and expires_in, exp is read by this machine's clock, but the
// token never lives longer than it says itself.
func TestP2ExpWithoutDate(t *testing.T) {
	for skew, want := range map[time.Duration]time.Duration{
		0:                 29*time.Minute + 58*time.Second,
		-10 * time.Minute: 29*time.Minute + 58*time.Second, // this clock is behind: it would make it 40 minutes
		10 * time.Minute:  19*time.Minute + 58*time.Second,
		time.Hour:         0,
	} {
		t.Run(skew.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.clock.stepWall(epoch.Sub(w.clock.Now().Wall) + skew)
				w.server.set(func(s *server) { s.silent, s.undated = true, true })
				reply, err := w.Token(t.Context(), ipc.TokenRequest{})
				if want == 0 {
					w.mustFail(err, ipc.CodeUnreachable)
					return
				}
				if got := time.Duration(reply.ExpiresIn) * time.Second; err != nil || got > want || got < want-2*time.Second {
					t.Errorf("lives for %v, want %v; %v", got, want, err)
				}
			})
		})
	}
}

// A token of unknown life goes to those who waited for it, and to nobody who
// asked for a certain life; they are told so without asking the server again.
func TestT3TokenOfUnknownLife(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.opaque, s.silent = true, true })
		for i := range 3 {
			if tok := w.mustToken(""); tok != fmt.Sprint("token-", i+1) {
				t.Errorf("got %q", tok)
			}
		}
		if n := w.impatient(time.Minute, ipc.TokenRequest{MinTTL: "1s"}); n > 2 {
			t.Errorf("%d exchanges in a minute", n)
		}
		_, err := w.token("1s")
		w.mustFail(err, ipc.CodeMinTTL)
	})
}

func TestP2MinTTLBeyondWhatTheServerGives(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, need := range []string{"1800s", "2h", "29m59s"} {
			_, err := w.token(need)
			w.mustFail(err, ipc.CodeMinTTL)
			// Asked in a loop, the server is asked once a minute at most.
			if n := w.impatient(time.Hour, ipc.TokenRequest{MinTTL: need}); n > 61 {
				t.Errorf("--min-ttl %s: %d exchanges in an hour", need, n)
			}
			time.Sleep(time.Minute)
		}
	})
}

// Where the answer takes a while, a life that the server can just give is
// never left when it is here: that is no reason to ask it each time.
func TestP2MinTTLLostOnTheWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.opaque, s.delay = true, time.Second })
		_, err := w.token("1799s")
		w.mustFail(err, ipc.CodeMinTTL)
		n := w.server.count()
		for range 10 {
			_, err = w.token("1799s")
			w.mustFail(err, ipc.CodeMinTTL)
		}
		w.mustCount(n)
	})
}

func TestP2FreshBeyondWhatTheServerGives(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, err := w.ask(ipc.TokenRequest{MinTTL: "2h", Fresh: true})
		w.mustFail(err, ipc.CodeMinTTL)
		w.mustCount(1)
	})
}

// If the renewal that an explicit min_ttl takes fails, its failure is told.
func TestP2MinTTLWhileRenewalFails(t *testing.T) {
	for _, c := range []struct {
		err  error
		code ipc.Code
	}{{down, ipc.CodeUnreachable}, {denied, ipc.CodeRefusedForNow}, {permanent, ipc.CodeRefused}} {
		inWorld(t, func(t *testing.T, w *world) {
			w.mustToken("")
			time.Sleep(10 * time.Minute)
			w.failWith(c.err)
			for range 3 {
				_, err := w.token("25m")
				w.mustFail(err, c.code)
			}
			w.mustToken("10m")
		})
	}
}

func TestMinTTLIsChecked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, bad := range []string{"5", "-5m", "x", "9999999999h"} {
			_, err := w.token(bad)
			w.mustFail(err, ipc.CodeBadRequest)
		}
		_, err := w.ask(ipc.TokenRequest{Kind: "proxy"})
		w.mustFail(err, ipc.CodeBadRequest)
		w.mustCount(0)
		w.mustToken("0s")
	})
}

func TestIDTokens(t *testing.T) {
	ask := func(w *world, minTTL string) (string, error) {
		return w.ask(ipc.TokenRequest{Kind: ipc.KindID, MinTTL: minTTL})
	}
	t.Run("missing", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			for range 3 {
				_, err := ask(w, "")
				w.mustFail(err, ipc.CodeRefusedForNow)
			}
			w.mustCount(1)
			w.mustToken("")
		})
	})
	t.Run("shorter exp", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.server.set(func(s *server) { s.id, s.idLess = true, 20*time.Minute })
			first, err := ask(w, "")
			if err != nil {
				t.Fatal(err)
			}
			w.server.set(func(s *server) { s.delay = time.Second })
			access := w.mustToken("")
			if first == access {
				t.Error("the ID token is the access token")
			}
			reply, err := w.Token(t.Context(), ipc.TokenRequest{Kind: ipc.KindID})
			if err != nil || reply.ExpiresIn > 600 || reply.ExpiresIn < 595 || reply.Kind != ipc.KindID {
				t.Errorf("%d s, %v", reply.ExpiresIn, err)
			}
			// It is renewed ahead of its own end.
			for range 3600 {
				w.atOnce(func() {
					tok, err := ask(w, "")
					if err != nil {
						t.Fatal(err)
					}
					w.mustKeep(tok, err, 3*time.Minute, "each second")
				})
				time.Sleep(time.Second)
			}
			if n := w.server.count(); n > 20 {
				t.Errorf("%d exchanges in an hour", n)
			}
			_, err = ask(w, "15m")
			w.mustFail(err, ipc.CodeMinTTL)
		})
	})
	t.Run("exp of its own, access token opaque", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.server.set(func(s *server) { s.id, s.idLess, s.opaque = true, 20*time.Minute, true })
			reply, err := w.Token(t.Context(), ipc.TokenRequest{Kind: ipc.KindID})
			if err != nil || reply.ExpiresIn > 600 || reply.ExpiresIn < 595 {
				t.Errorf("%d s, %v", reply.ExpiresIn, err)
			}
		})
	})
	t.Run("dead already", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.server.set(func(s *server) { s.id, s.idLess = true, time.Hour })
			_, err := ask(w, "")
			w.mustFail(err, ipc.CodeMinTTL)
			w.mustToken("")
			w.mustCount(1)
		})
	})
	t.Run("no JWT", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.server.set(func(s *server) { s.edit = func(t *provider.Token) { t.ID = secret.New("opaque-id") } })
			if tok, err := ask(w, ""); tok != "opaque-id" {
				t.Errorf("%q, %v", tok, err)
			}
		})
	})
}
