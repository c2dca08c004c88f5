package agent_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

var lives = []time.Duration{
	time.Second, 2 * time.Second, 10 * time.Second, 59 * time.Second, 5 * time.Minute, 8 * time.Minute,
	15 * time.Minute, 1799 * time.Second, time.Hour, 5 * time.Hour,
}

// floorOf is what a caller who asks for nothing is promised: five minutes, or
// a third of the life. Whole seconds may be lost to Date and claims.
func floorOf(life time.Duration) time.Duration {
	return min(5*time.Minute, max(0, life-2*time.Second)/3)
}

// mustKeep checks what was handed out against the server's clock.
func (w *world) mustKeep(tok string, err error, promised time.Duration, when string) {
	w.t.Helper()
	if err != nil {
		return
	}
	if left := w.server.leftAtServer(tok); left < promised || left <= 0 {
		w.t.Fatalf("%s: handed out with %v left by the server's clock, promised %v", when, left, promised)
	}
}

// settings are the ways in which servers tell of a token's life.
var settings = map[string]func(*server){
	"JWT":                    func(*server) {},
	"JWT, no expires_in":     func(s *server) { s.silent = true },
	"JWT, no Date":           func(s *server) { s.undated = true },
	"JWT, no Date, silent":   func(s *server) { s.undated, s.silent = true, true },
	"opaque":                 func(s *server) { s.opaque = true },
	"server 10 min ahead":    func(s *server) { s.skew = 10 * time.Minute },
	"server 10 min behind":   func(s *server) { s.skew = -10 * time.Minute },
	"the same token":         func(s *server) { s.same = true },
	"the same opaque token":  func(s *server) { s.same, s.opaque = true, true },
	"the same, no Date":      func(s *server) { s.same, s.undated = true, true },
	"slow to answer":         func(s *server) { s.delay = 1300 * time.Millisecond },
	"slow, the same, opaque": func(s *server) { s.same, s.opaque, s.delay = true, true, 1300*time.Millisecond },
}

// At every second around each edge of its life (the floor, twice the floor,
// half its life, its end), with the server well, failing or hanging, a token
// has the life that was asked for.
func TestP2T6TokensLiveAtEverySecondAroundEachEdge(t *testing.T) {
	for how, set := range settings {
		for _, life := range lives {
			for _, outage := range []string{"well", "failing", "hanging"} {
				t.Run(fmt.Sprintf("%s/%v/%s", how, life, outage), func(t *testing.T) {
					inWorld(t, func(t *testing.T, w *world) {
						w.server.set(func(s *server) { s.life = life })
						w.server.set(set)
						tok, err := w.token("")
						w.mustKeep(tok, err, floorOf(life), "at first")
						start := w.clock.Now().Boot
						w.server.set(func(s *server) {
							switch outage {
							case "failing":
								s.fail = down
							case "hanging":
								s.hang = true
							}
						})
						floor := floorOf(life)
						for _, edge := range []time.Duration{life - 2*floor, life / 2, life - floor, life} {
							for at := edge - 3*time.Second; at <= edge+3*time.Second; at += time.Second {
								if d := start + at - w.clock.Now().Boot; d > 0 {
									time.Sleep(d)
								}
								w.askAll(life, outage == "well" && life >= 10*time.Second)
							}
						}
					})
				})
			}
		}
	}
}

// askAll asks for the floor, and for more and less than it, and checks each
// answer. A server that hangs answers nobody; those calls are left behind.
// Where the server is well, whoever asks for no more than the floor must get
// it, unless the server keeps a dying token to its end.
func (w *world) askAll(life time.Duration, well bool) {
	floor := floorOf(life)
	needs := map[string]time.Duration{"": floor, "1ms": time.Millisecond}
	for _, d := range []time.Duration{floor + time.Second, life / 2, life - time.Second, life, life + time.Second} {
		if d > 0 {
			needs[d.String()] = d
		}
	}
	for need, promised := range needs {
		if need == "" && w.server.same {
			promised = 0 // the life that the server gives shrinks each time, and the floor with it
		}
		go func() {
			tok, err := w.token(need)
			w.mustKeep(tok, err, promised, "asked for "+need)
			if err != nil && well && promised <= floor && !w.server.same {
				w.t.Errorf("asked for %q: %v", need, err)
			}
		}()
	}
	synctest.Wait()
}

// Whatever happens to the clocks, the machine and the server, in whatever
// order, no token comes out with less life than promised.
func TestP2T1T2T7TokensLiveThroughAnything(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 2
	}
	for how, set := range settings {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", how, seed), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					w.server.set(set)
					w.live(rand.New(rand.NewPCG(uint64(seed), 7)))
				})
			})
		}
	}
}

// live does a few hundred things at random.
func (w *world) live(r *rand.Rand) {
	pick := func(list ...time.Duration) time.Duration { return list[r.IntN(len(list))] }
	life := lives[r.IntN(len(lives))]
	w.server.set(func(s *server) {
		s.life = life
		s.delay = max(s.delay, pick(0, 0, 20*time.Millisecond, 2*time.Second))
		s.id = r.IntN(2) == 0
		s.idLess = pick(0, life/2, life-time.Second)
	})
	wall := time.Duration(0) // how far the wall clock was stepped
	log := ""
	for range 300 {
		what := ""
		switch r.IntN(12) {
		case 0:
			d := time.Duration(r.Int64N(int64(2*life))) + 1
			what = fmt.Sprintf("suspend %v", d)
			w.clock.suspend(d)
		case 1:
			d := pick(time.Second, 10*time.Minute, 24*time.Hour) * time.Duration(1-2*r.IntN(2))
			if r.IntN(3) == 0 {
				d = -wall // NTP finds the time again
			}
			wall += d
			what = fmt.Sprintf("step %v", d)
			w.clock.stepWall(d)
		case 2:
			what = "server fails"
			w.server.set(func(s *server) { s.fail = down })
		case 3:
			what = "server hangs"
			w.server.set(func(s *server) { s.hang = true })
		case 4, 5:
			what = "server is well"
			w.server.set(func(s *server) { s.fail, s.hang = nil, false })
		case 6, 7:
			d := time.Duration(r.Int64N(int64(life))) + 1
			what = fmt.Sprintf("wait %v", d)
			time.Sleep(d)
		default:
			req := ipc.TokenRequest{Fresh: r.IntN(8) == 0}
			promised := floorOf(life)
			if w.server.same {
				promised = 0
			}
			if r.IntN(2) == 0 {
				promised = time.Duration(r.Int64N(int64(life))) + 1
				req.MinTTL = promised.String()
			}
			if w.server.id && r.IntN(3) == 0 {
				req.Kind = ipc.KindID
				if req.MinTTL == "" {
					promised = 0
				}
			}
			what = fmt.Sprintf("ask %+v", req)
			tok, err := w.ask(req)
			w.mustKeep(tok, err, promised, log+what)
		}
		log += what + "\n"
	}
}

// What the reply says of the token's life is true, by both clocks.
func TestP2RepliesTellTheTruth(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 3000 {
			reply, err := w.Token(t.Context(), ipc.TokenRequest{MinTTL: "1s"})
			if err != nil {
				t.Fatal(err)
			}
			left := w.server.leftAtServer(reply.AccessToken.Reveal())
			said := time.Duration(reply.ExpiresIn) * time.Second
			if said > left || said < left-4*time.Second {
				t.Fatalf("expires_in is %v, it has %v left", said, left)
			}
			if at := reply.ExpiresAt.Sub(w.clock.Now().Wall); at > left || at < left-4*time.Second {
				t.Fatalf("expires_at is in %v, it has %v left", at, left)
			}
			time.Sleep(700 * time.Millisecond)
			if rand.IntN(100) == 0 {
				w.clock.stepWall(time.Duration(rand.IntN(3)-1) * time.Hour)
			}
		}
	})
}
