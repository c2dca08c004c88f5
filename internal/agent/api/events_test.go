package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// pipes is a listener in memory, which is at home in a bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// inStream runs f with the events of an agent, and a function that connects to
// them over the agent's real HTTP server.
func inStream(t *testing.T, f func(t *testing.T, e *api.Events, open func(query string) *bufio.Reader)) {
	synctest.Test(t, func(t *testing.T) {
		e := api.NewEvents()
		server := listen.Server(newServer(t, api.Observe, func(o *api.Options) { o.Events = e }))
		l := make(pipes)
		done := make(chan struct{})
		go func() { _ = server.Serve(l); close(done) }()
		var open []net.Conn
		f(t, e, func(query string) *bufio.Reader {
			client, agent := net.Pipe()
			open = append(open, client)
			l <- agent
			fmt.Fprintf(client, "GET /v1/events%s HTTP/1.1\r\nHost: %s\r\n\r\n", query, ipc.Host)
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			return bufio.NewReader(resp.Body)
		})
		e.Close()
		for _, c := range open {
			_ = c.Close()
		}
		close(l)
		<-done
		_ = server.Close()
	})
}

// next reads one event; an empty line is returned as "".
func next(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if line == "\n" {
		return ""
	}
	var e ipc.Event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if e.Type == ipc.EventLost {
		return fmt.Sprint("lost ", e.Lost)
	}
	return e.Type + " " + e.Profile
}

func TestEventsAreStreamed(t *testing.T) {
	inStream(t, func(t *testing.T, e *api.Events, open func(string) *bufio.Reader) {
		e.Publish(ipc.Event{Type: "login", Profile: "missed"})
		all, some := open(""), open("?type=warning&type=cleared&profile=prod")
		for _, r := range []*bufio.Reader{all, some} {
			if got := next(t, r); got != "" {
				t.Errorf("the first line is %q", got)
			}
		}
		for _, v := range []ipc.Event{{Type: "login", Profile: "prod"}, {Type: "warning", Profile: "lab"}, {Type: "warning", Profile: "prod"}} {
			e.Publish(v)
		}
		for _, want := range []string{"login prod", "warning lab", "warning prod"} {
			if got := next(t, all); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if got := next(t, some); got != "warning prod" {
			t.Errorf("chosen: %q", got)
		}
		// An hour without events: the stream lives, beyond every limit of the server.
		began := time.Now()
		for time.Since(began) < time.Hour {
			if got := next(t, all) + next(t, some); got != "" {
				t.Fatalf("got %q", got)
			}
		}
		e.Publish(ipc.Event{Type: "logout", Profile: "prod"})
		if got := next(t, all); got != "logout prod" {
			t.Errorf("after an hour: %q", got)
		}
		// The end of the agent ends it.
		e.Close()
		if b, err := io.ReadAll(all); err != nil || strings.TrimSpace(string(b)) != "" {
			t.Errorf("at the end: %q, %v", b, err)
		}
	})
}

// A reader who does not read keeps nobody waiting, and learns what it missed.
func TestT28SlowReaderOfEvents(t *testing.T) {
	inStream(t, func(t *testing.T, e *api.Events, open func(string) *bufio.Reader) {
		slow := open("")
		next(t, slow)
		began := time.Now()
		for range 1000 {
			e.Publish(ipc.Event{Type: "exchange", Profile: "prod"})
		}
		if time.Since(began) != 0 {
			t.Error("publishing waited")
		}
		synctest.Wait()
		got, lost := 0, 0
		for got+lost < 1000 {
			switch line := next(t, slow); {
			case line == "exchange prod":
				got++
			case strings.HasPrefix(line, "lost "):
				n := 0
				if _, err := fmt.Sscanf(line, "lost %d", &n); err != nil {
					t.Fatal(err)
				}
				lost += n
			default:
				t.Fatalf("got %q", line)
			}
		}
		if lost < 400 || got < 256 {
			t.Errorf("%d arrived, %d were lost", got, lost)
		}
		// One who is gone for good is dropped when its time is over.
		e.Publish(ipc.Event{Type: "exchange"})
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if line, err := slow.ReadString('\n'); err == nil {
			t.Errorf("after a minute it still got %q", line)
		}
	})
}

// An observer learns that an exchange failed, and not what the server said.
func TestObserversSeeNoTextsOfFailedExchanges(t *testing.T) {
	inStream(t, func(t *testing.T, e *api.Events, open func(string) *bufio.Reader) {
		r := open("")
		next(t, r)
		e.Publish(ipc.Event{Type: ipc.EventExchange, Outcome: ipc.OutcomeRefused, Code: ipc.CodeRefused, Message: "the server said this"})
		e.Publish(ipc.Event{Type: ipc.EventWarning, Message: "the API token expires"})
		first, _ := r.ReadString('\n')
		second, _ := r.ReadString('\n')
		if strings.Contains(first, "said this") || !strings.Contains(first, `"credential_refused"`) || !strings.Contains(second, "expires") {
			t.Errorf("%q, %q", first, second)
		}
	})
}

func TestEventsHaveBounds(t *testing.T) {
	inStream(t, func(t *testing.T, e *api.Events, open func(string) *bufio.Reader) {
		for range 16 { // a user's; all of these are one
			next(t, open(""))
		}
		over := open("")
		b, _ := io.ReadAll(io.LimitReader(over, 7))
		if string(b) != `{"code"` {
			t.Errorf("one too many: %q", b)
		}
	})
	s := newServer(t, api.Owner, func(o *api.Options) { o.Events = api.NewEvents() })
	if w := ask(s, "GET", "/v1/events?profile=../x", ""); w.Code != http.StatusBadRequest {
		t.Errorf("got %d", w.Code)
	}
}

// Those who observe can't shut the owner out, nor one of them the others.
func TestEventsHaveRoomByRole(t *testing.T) {
	e := api.NewEvents()
	fill := func(role api.Role, uid uint32, want int) {
		t.Helper()
		n := 0
		for n < 1000 && e.Join(role, uid) {
			n++
		}
		if n != want {
			t.Errorf("uid %d has room for %d, want %d", uid, n, want)
		}
	}
	fill(api.Observe, 1001, 16)
	fill(api.Observe, 1000, 16) // the owner, on a socket for others
	fill(api.Observe, 1002, 16)
	fill(api.Observe, 1003, 0)
	fill(api.Owner, 1000, 64)
	fill(api.Owner, 0, 0)
}
