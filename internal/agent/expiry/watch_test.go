package expiry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
)

const allStages = "30d 14d 7d 3d 1d 1h expired"

// A token of 180 days, from login to after its end.
func TestP7EachStageOnceInOrder(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.login("prod", 180*day)
		w.settle()
		w.nap(140 * day) // for the test to take less time
		w.until("prod", -5*day)
		for i, s := range strings.Fields(allStages) {
			before := time.Duration(0)
			if d, bad := ipc.ParseDuration(s); bad == nil {
				before = d
			}
			if late := c.times()[i].Add(140 * day).Sub(w.end("prod").Add(-before)); late < 0 || late > 30*time.Second {
				t.Errorf("%s was told %v after its moment", s, late)
			}
		}
		if got := strings.Join(c.replaced(), " "); got != " ref1 ref2 ref3 ref4 ref5 ref6" {
			t.Errorf("messages replaced %q", got)
		}
		c.must(t, allStages)
		if n := w.looks(); n < 40*24*60 {
			t.Errorf("the agent looked %d times whether to ask a server", n)
		}
	})
}

// The agent is off for any part of that time: what it tells when it is on again
// is the most urgent stage alone, and none twice.
func TestP7AgentOffForAnyPartOfTheTime(t *testing.T) {
	starts := map[string]time.Duration{"30d": 30 * day, "14d": 14 * day, "7d": 7 * day, "3d": 3 * day, "1d": day, "1h": time.Hour, "expired": 0}
	for seed := range uint64(6) {
		inWorld(t, func(w *world, c *channel) {
			random := rand.New(rand.NewPCG(seed, 1))
			end := w.end("prod")
			var want []string
			last := ""
			for time.Until(end) > -2*day {
				// On for a while, in which all that begins is told of.
				from := time.Until(end)
				time.Sleep(time.Duration(random.Int64N(int64(5*day))) + time.Minute)
				to := time.Until(end)
				for _, s := range strings.Fields(allStages) {
					next := -1000 * day
					if i := strings.Index(allStages, s) + len(s); i < len(allStages) {
						name, _, _ := strings.Cut(allStages[i+1:], " ")
						next = starts[name]
					}
					// It lasts from its start to the next one's; was the agent on for
					// a part of that, a minute at least?
					if min(from, starts[s])-max(to, next) > time.Minute && s != last && to < starts[s] {
						want, last = append(want, s), s
					}
				}
				w.stop()
				time.Sleep(time.Duration(random.Int64N(int64(9 * day))))
				w.on()
			}
			w.settle()
			if last != "expired" {
				want = append(want, "expired")
			}
			c.must(t, strings.Join(want, " "))
		})
	}
}

// The machine sleeps over several stages.
func TestT7P7AsleepOverSeveralStages(t *testing.T) {
	for _, c := range []struct {
		nap  time.Duration
		want string
	}{
		{25 * day, "7d 3d 1d 1h expired"}, {28 * day, "3d 1d 1h expired"}, {30*day + time.Hour, "1d 1h expired"}, {31 * day, "expired"}, {400 * day, "expired"},
	} {
		inWorld(t, func(w *world, ch *channel) {
			w.nap(c.nap)
			w.settle()
			first, rest, _ := strings.Cut(c.want, " ")
			ch.must(t, first)
			time.Sleep(7 * day)
			ch.must(t, rest)
		})
	}
}

func TestP7ShortLivedTokens(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.set(func(w *world) { delete(w.subjects, "prod") })
		w.login("week", 7*day)
		w.settle()
		c.must(t, "")
		time.Sleep(8 * day)
		c.must(t, "week:3d week:1d week:1h week:expired")
	})
}

func TestP7LoginStartsAgainAndTakesBackWhatWasSaid(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.until("prod", 3*day)
		c.must(t, "30d 14d 7d 3d")
		w.login("prod", 60*day)
		c.must(t, "-ref4") // at once
		w.stop()
		w.on()
		w.until("prod", 13*day)
		c.must(t, "30d 14d")
		w.set(func(w *world) { delete(w.subjects, "prod") })
		w.watch.Observe(ipc.Event{Type: ipc.EventLogout})
		c.must(t, "-ref6")
	})
}

// Revoked or deactivated: told once, whatever comes after.
func TestP7DeadBeforeItsTime(t *testing.T) {
	for stage, set := range map[string]func(*expiry.Subject, bool){
		ipc.StageRefused:     func(s *expiry.Subject, on bool) { s.Refused = on },
		ipc.StageDeactivated: func(s *expiry.Subject, on bool) { s.Deactivated = on },
	} {
		inWorld(t, func(w *world, c *channel) {
			w.until("prod", 14*day)
			c.must(t, "30d 14d")
			w.change("prod", func(s *expiry.Subject) { set(s, true) })
			w.watch.Observe(ipc.Event{Type: ipc.EventExchange, Outcome: ipc.OutcomeRefused})
			c.must(t, stage) // at once
			w.change("prod", func(s *expiry.Subject) { s.Refused, s.Deactivated = true, true })
			w.until("prod", 10*day)
			w.stop()
			w.on()
			w.settle()
			c.must(t, "")
			// The server takes it back: the stages go on where they were.
			w.change("prod", func(s *expiry.Subject) { s.Refused, s.Deactivated = false, false })
			w.settle()
			c.must(t, "-ref3")
			w.until("prod", 7*day)
			c.must(t, "7d")
			w.change("prod", func(s *expiry.Subject) { set(s, true) })
			w.until("prod", -day)
			c.must(t, stage) // and nothing of an end that says nothing new
		})
	}
}

// Clocks differ: a server that refuses a token a moment before its end says
// that it has expired.
func TestT2P7RefusedAtItsEndIsExpired(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.until("prod", time.Minute)
		c.must(t, "30d 14d 7d 3d 1d 1h")
		w.change("prod", func(s *expiry.Subject) { s.Refused = true })
		w.settle()
		w.until("prod", -day)
		c.must(t, "expired")
	})
}

func TestSnooze(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.watch.Snooze("desktop", "prod") // of nothing
		w.until("prod", 14*day)
		c.must(t, "30d 14d")
		w.watch.Snooze("desktop", "prod")
		w.settle()
		w.stop()
		w.on() // it survives that
		time.Sleep(23 * time.Hour)
		c.must(t, "")
		time.Sleep(2 * time.Hour)
		c.must(t, "14d")
		time.Sleep(2 * day)
		c.must(t, "")

		// A stage that begins meanwhile waits,
		w.until("prod", 7*day+time.Hour)
		w.watch.Snooze("desktop", "prod")
		w.until("prod", 6*day+2*time.Hour)
		c.must(t, "")
		w.until("prod", 6*day)
		c.must(t, "7d")
		// but not the last hour, nor the end.
		w.until("prod", day)
		c.must(t, "3d 1d")
		w.watch.Snooze("desktop", "prod")
		w.until("prod", 2*time.Hour)
		c.must(t, "")
		w.until("prod", time.Hour)
		c.must(t, "1h")
		w.watch.Snooze("desktop", "prod")
		w.until("prod", 0)
		w.settle()
		c.must(t, "expired")
	})
}

// A channel that hangs or fails keeps no other from being told, and is tried
// again, but not for ever.
func TestP7ChannelsAreIndependent(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.stop()
		bad := &channel{name: "hook", hang: true}
		w.channels = append(w.channels, bad)
		w.on()
		w.until("prod", 14*day)
		c.must(t, "30d 14d")
		bad.must(t, "")
		bad.set(func(c *channel) { c.hang, c.fail = false, errors.New("exit status 1") })
		time.Sleep(20 * time.Minute)
		bad.set(func(c *channel) { c.tries = 0 })
		time.Sleep(2 * day)
		if n := bad.tried(); n > 3 {
			t.Errorf("it was tried %d times", n)
		}
		bad.set(func(c *channel) { c.fail = nil })
		w.until("prod", 7*day+time.Hour)
		bad.must(t, "") // given up
		w.until("prod", 7*day)
		bad.must(t, "7d")
	})
}

func TestP7FailureIsTriedAgain(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		c.set(func(c *channel) { c.fail = errors.New("exit status 1") })
		w.until("prod", 30*day)
		time.Sleep(5 * time.Minute)
		if n := c.tried(); n != 2 {
			t.Errorf("%d tries", n)
		}
		c.set(func(c *channel) { c.fail = nil })
		time.Sleep(10 * time.Minute)
		c.must(t, "30d")
	})
}

// A stage that is given up leaves the message before it where it is: it is
// replaced by the next stage, or taken back.
func TestP7GivenUpStageLosesNoMessage(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.until("prod", 14*day)
		c.must(t, "30d 14d")
		c.set(func(c *channel) { c.fail = errors.New("no room") })
		w.until("prod", 5*day)
		c.set(func(c *channel) { c.fail = nil })
		w.until("prod", 3*day)
		c.must(t, "3d")
		if got := strings.Join(c.replaced(), " "); got != " ref1 ref2" {
			t.Errorf("messages replaced %q", got)
		}
	})
}

// A person may snooze what is being shown before the server has answered.
func TestSnoozeBeforeTheAnswer(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.until("prod", 14*day)
		c.set(func(c *channel) { c.during = func() { w.watch.Snooze("desktop", "prod") } })
		w.until("prod", 7*day)
		c.set(func(c *channel) { c.during = nil })
		c.must(t, "30d 14d 7d")
		time.Sleep(25 * time.Hour)
		c.must(t, "7d")
	})
}

// The desktop starts long after the agent, and is told at once.
func TestT15P7NobodyIsThereYet(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		c.set(func(c *channel) { c.fail = fmt.Errorf("no desktop: %w", expiry.ErrNobody) })
		w.until("prod", 5*day)
		c.must(t, "")
		c.set(func(c *channel) { c.fail = nil })
		w.watch.Rouse()
		c.must(t, "7d")
	})
}

// Where nobody is there, that is asked once at each look, and not for each of
// many profiles.
func TestP7NobodyIsThereForAnyProfile(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		c.set(func(c *channel) { c.fail = expiry.ErrNobody })
		for i := range 100 {
			w.login(fmt.Sprint("p", i), 2*day)
			w.change(fmt.Sprint("p", i), func(s *expiry.Subject) { s.Life = 180 * day })
		}
		w.settle()
		c.set(func(c *channel) { c.tries = 0 })
		time.Sleep(time.Hour)
		if n := c.tried(); n < 100 || n > 125 {
			t.Errorf("asked %d times in an hour", n)
		}
		c.set(func(c *channel) { c.fail, c.tries = nil, 0 })
		w.watch.Rouse()
		w.settle()
		if n := c.tried(); n != 100 {
			t.Errorf("%d of 100 were told", n)
		}
	})
}

// A full disk repeats nothing while the agent lives, and what was told is
// written when there is room.
func TestP8FullDiskRepeatsNothing(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.set(func(w *world) { w.full = true })
		w.until("prod", 7*day)
		c.must(t, "30d 14d 7d")
		w.set(func(w *world) { w.full = false })
		w.settle()
		w.stop()
		w.on()
		w.settle()
		c.must(t, "")
	})
}

// A clock that is set ahead is believed after ten minutes; if it was a mistake,
// nobody has heard of it.
func TestT2P7ClockThatIsStepped(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.settle()
		w.set(func(w *world) { w.step = 30 * day })
		time.Sleep(9 * time.Minute)
		w.set(func(w *world) { w.step = 0 })
		time.Sleep(12 * time.Hour)
		c.must(t, "")
		w.set(func(w *world) { w.step = 25 * day })
		time.Sleep(11 * time.Minute)
		c.must(t, "7d")
		// It was wrong after all: the stages begin again.
		w.set(func(w *world) { w.step = 0 })
		time.Sleep(11 * time.Minute)
		c.must(t, "-ref1")
		w.until("prod", 7*day)
		c.must(t, "30d 14d 7d")
		w.set(func(w *world) { w.step = -time.Minute }) // as NTP does
		w.settle()
		w.set(func(w *world) { w.step = 0 })
		w.settle()
		c.must(t, "")
	})
}

// A machine whose clock has no battery boots in the past, until the network
// tells the time: nothing is taken back meanwhile, and nothing repeated.
func TestT2P7ClockThatIsBehindAtBoot(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.until("prod", 7*day)
		c.must(t, "30d 14d 7d")
		for range 3 {
			w.stop()
			w.set(func(w *world) { w.step = -365 * day })
			w.on()
			time.Sleep(5 * time.Minute)
			w.set(func(w *world) { w.step = 0 })
			time.Sleep(time.Hour)
			c.must(t, "")
		}
		// It is the record that is wrong: it holds nothing up for long.
		w.change("prod", func(s *expiry.Subject) { s.CheckedAt = s.ExpiresAt.Add(365 * day) })
		w.stop()
		w.on()
		w.until("prod", 3*day)
		c.must(t, "3d")
	})
}

// Two agents share a home: each stage is told by one of them.
func TestP7TwoAgentsTellOnce(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		both := &channel{name: "desktop"}
		w.stop()
		w.channels = []expiry.Channel{both}
		w.on()
		_, stop := w.another(both)
		defer stop()
		for i := range 20 {
			w.login(fmt.Sprint("p", i), 200*day)
		}
		w.until("prod", 3*day)
		both.must(t, "30d 14d 7d 3d")
	})
}

func TestStagesThatChangeUnderway(t *testing.T) {
	inWorld(t, func(w *world, c *channel) {
		w.until("prod", 14*day)
		c.must(t, "30d 14d")
		s, err := expiry.NewStages([]time.Duration{20 * day, 10 * day})
		if err != nil {
			t.Fatal(err)
		}
		w.set(func(w *world) { w.stages = s })
		w.settle()
		c.must(t, "")
		w.until("prod", -day)
		c.must(t, "10d expired")
	})
}

func TestWordsOfAWarning(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	s := expiry.Subject{Profile: "prod", Provider: "csp", Server: "https://csp.example", Org: "o", Kind: "API token", TokenName: "ci",
		RenewURL: "https://csp.example/tokens", ExpiresAt: now.Add(6*day + 12*time.Hour)}
	for stage, want := range map[string]string{
		"7d":                 "the API token ci of profile prod expires in 6 days, on 2026-05-11 00:00 UTC; make a new one at https://csp.example/tokens, then: cspctl login prod",
		ipc.StageDeactivated: "the API token ci of profile prod was deactivated in the console; make a new one at https://csp.example/tokens, then: cspctl login prod",
		ipc.StageRefused:     "the API token ci of profile prod is refused by the server: it was revoked or replaced; make a new one at https://csp.example/tokens, then: cspctl login prod",
	} {
		e := s.Warning(stage, now)
		if e.Message != want || e.Stage != stage || e.RenewURL != s.RenewURL || e.RenewWith != "cspctl login prod" || e.Type != ipc.EventWarning || !e.Time.Equal(now) {
			t.Errorf("%s: %+v", stage, e)
		}
	}
	s.Kind, s.TokenName = "password", ""
	if got := s.Warning(ipc.StageRefused, now).Message; got != "the password of profile prod is refused by the server: it was revoked or replaced; log in with a new one: cspctl login prod" {
		t.Error(got)
	}
	s.Kind = "API token"
	for left, want := range map[time.Duration]string{-time.Second: "expired on", 30 * time.Minute: "expires in 30 minutes", 47 * time.Hour: "expires in 47 hours"} {
		s.ExpiresAt = now.Add(left)
		if got := s.Warning("1h", now).Message; !strings.Contains(got, want) {
			t.Errorf("%v left: %s", left, got)
		}
	}
}
