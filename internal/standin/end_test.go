package standin

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The fetch of Node.js says in a header how it fetches, as browsers do; it is no
// browser.
func TestNodeIsNoBrowser(t *testing.T) {
	_, run := start(t, &house{expires: 1700}, ipc.RunRequest{})
	req := post(t, run.URL+authorize, "api_token="+run.StandIn.Reveal())
	req.Header.Set("Sec-Fetch-Mode", "cors")
	if r := do(t, req); r.status != 200 {
		t.Errorf("%d %v", r.status, r.body)
	}
}

// Runs that are over at once take nobody's place for ever.
func TestRunsThatEndAtOnceLeaveTheirPlace(t *testing.T) {
	h := &house{expires: 1700}
	runs, run := start(t, h, ipc.RunRequest{Lifetime: "1ns"})
	for range maxRunsPerUID {
		<-run.Done()
		var err error
		if run, err = runs.Start(ipc.RunRequest{Lifetime: "1ms"}, h.holder()); err != nil {
			t.Fatal(err)
		}
		run.stop(ipc.RunEndedTime, "the test's is not to last")
	}
	if n := len(runs.list()); n != 0 {
		t.Errorf("%d runs are left", n)
	}
}

// A timer stands still while the machine sleeps.
func TestT1RunIsOverByTheClock(t *testing.T) {
	h := &house{expires: 1700}
	_, run := start(t, h, ipc.RunRequest{})
	run.mu.Lock()
	run.EndsAt = time.Now().Add(-time.Second)
	run.mu.Unlock()
	if r := do(t, post(t, run.URL+authorize, "api_token="+run.StandIn.Reveal())); r.status != 400 || len(h.maxAges) > 0 {
		t.Errorf("%d %v", r.status, r.body)
	}
}

// Whoever exchanges when the profile is gone, or not theirs any more, is told so
// before the run ends.
func TestAnswerThatEndsTheRun(t *testing.T) {
	for why, err := range map[string]error{
		ipc.RunEndedLogout: &ipc.Error{Code: ipc.CodeNotLoggedIn, Message: "profile prod has no secret stored"},
		ipc.RunEndedGrant:  ErrNotForUser,
	} {
		h := &house{fail: err}
		_, run := start(t, h, ipc.RunRequest{})
		r := do(t, post(t, run.URL+authorize, "api_token="+run.StandIn.Reveal()))
		message, _ := r.body["message"].(string)
		if r.status != 400 || !strings.HasPrefix(message, "invalid_grant: ") || !strings.Contains(message, err.Error()) {
			t.Errorf("%s: %d %v", why, r.status, r.body)
		}
		<-run.Done()
		if e := run.End(); e == nil || e.Ended != why {
			t.Errorf("%s: %v", why, e)
		}
	}
}

// Details of OAuth apps are none, which is no trouble that passes; what does not
// expire is not in 1970; and a client in a loop asks no server.
func TestDetailsForClients(t *testing.T) {
	var asked atomic.Int64
	var fail error
	h := (&house{}).holder()
	h.Details = func(context.Context, string) (d ipc.ProfileDetails, err error) {
		asked.Add(1)
		d.Expiry.Never = true
		return d, fail
	}
	runs := new(Runs)
	t.Cleanup(runs.Close)
	run, err := runs.Start(ipc.RunRequest{}, h)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() reply {
		return do(t, post(t, run.URL+base+"api-tokens/details", `{"tokenValue":"`+run.StandIn.Reveal()+`"}`))
	}
	fail = &ipc.Error{Code: ipc.CodeNoDetails, Message: "nothing is told"}
	if r := ask(); r.status != 404 || r.header.Get("Retry-After") != "" {
		t.Errorf("%d %v", r.status, r.body)
	}
	fail = nil
	for range 5 {
		if r := ask(); r.status != 200 || r.body["expiresAt"] != float64(1<<31-1) || r.body["token"] != nil {
			t.Errorf("%d %v", r.status, r.body)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestServerWithoutKeysIsLeftAlone(t *testing.T) {
	var asked atomic.Int64
	h := (&house{}).holder()
	h.PublicKeys = func(context.Context) ([]byte, error) {
		asked.Add(1)
		return nil, &ipc.Error{Code: ipc.CodeUnreachable, Message: "no answer"}
	}
	runs := new(Runs)
	t.Cleanup(runs.Close)
	run, err := runs.Start(ipc.RunRequest{}, h)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		req := post(t, run.URL+base+"token-public-key", "")
		req.Method = "GET"
		if r := do(t, req); r.status != 503 {
			t.Errorf("%d %v", r.status, r.body)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// Whoever asks while the server is asked waits for that answer.
func TestKeysAreAskedForOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var k keys
		ask := func(ctx context.Context) ([]byte, error) {
			asked.Add(1)
			select {
			case <-time.After(time.Second):
				return []byte("keys"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		first, giveUp := context.WithCancel(t.Context())
		go k.get(first, ask) //nolint:errcheck // it gives up
		synctest.Wait()
		for range 50 {
			go func() {
				if text, err := k.get(t.Context(), ask); err != nil || string(text) != "keys" {
					t.Errorf("%q, %v", text, err)
				}
			}()
		}
		synctest.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times at once", n)
		}
		giveUp()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times in all", n)
		}
	})
}

// However many connections a user's processes open, the agent keeps few of them
// open.
func TestConnectionsOfARunAreBounded(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var looked atomic.Int64
	reached := make(chan struct{}, 1000)
	d := newDoor(l, func(net.Conn) error { looked.Add(1); reached <- struct{}{}; return nil }, func(error) {})
	defer d.Close()
	go func() {
		for {
			if _, err := d.Accept(); err != nil {
				return
			}
		}
	}()
	const most = maxConns + maxLooks
	for range 2 * most {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range most {
		<-reached
	}
	select {
	case <-reached:
		t.Errorf("more than %d connections are open", most)
	case <-time.After(300 * time.Millisecond): // a further one would come at once
	}
}
