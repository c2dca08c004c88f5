package standin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

// house is an agent's side of a run.
type house struct {
	mu      sync.Mutex
	maxAges []string
	fail    error
	refused []string
	expires int64
}

func (h *house) holder() Holder {
	return Holder{UID: uint32(os.Getuid()), Profile: "prod",
		Token: func(_ context.Context, _, maxAge string) (ipc.Token, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.fail != nil {
				return ipc.Token{}, h.fail
			}
			h.maxAges = append(h.maxAges, maxAge)
			t := ipc.Token{AccessToken: secret.NewWire(fmt.Sprintf("access-%d", len(h.maxAges))), ExpiresIn: h.expires}
			if h.expires > 0 {
				t.ExpiresAt = time.Now().Add(time.Duration(h.expires) * time.Second)
			}
			return t, nil
		},
		Refused: func(_, reason string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.refused = append(h.refused, reason)
		},
	}
}

func start(t *testing.T, h *house, req ipc.RunRequest) (*Runs, *Run) {
	t.Helper()
	runs := &Runs{Log: slog.New(slog.DiscardHandler)}
	run, err := runs.Start(req, h.holder())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runs.Close)
	return runs, run
}

const authorize = "/csp/gateway/am/api/auth/api-tokens/authorize"

type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func do(t *testing.T, req *http.Request) reply {
	t.Helper()
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	r := reply{resp.StatusCode, resp.Header, nil}
	if json.Unmarshal(b, &r.body) != nil {
		t.Fatalf("%d: %s is no JSON", resp.StatusCode, b)
	}
	return r
}

func post(t *testing.T, at, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// Each form in which public clients send an API token, or the secret of an
// OAuth app, is taken.
func TestFormsOfPublicClients(t *testing.T) {
	h := &house{expires: 1700}
	_, run := start(t, h, ipc.RunRequest{})
	token := run.StandIn.Reveal()
	basic := func(r *http.Request) { r.SetBasicAuth("some-app", token) }
	for _, c := range []struct {
		client, path, body string
		edit               func(*http.Request)
		app                bool
	}{
		{client: "tanzu, terraform vmc, nsxt, TMC, mkpcli", path: authorize, body: "refresh_token=" + token},
		{client: "Carbon Black", path: authorize, body: "api_token=" + token},
		{client: "VIB", path: authorize, body: "grant_type=refresh_token&api_token=" + token},
		{client: "pyVMC", path: authorize + "?api_token=" + token},
		{client: "VMware.CSP", path: authorize, body: "refresh_token=" + token, edit: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{client: "wavefront, whose base ends in a slash", path: "/" + authorize, body: "api_token=" + token},
		{client: "JSON", path: authorize, body: `{"refresh_token":"` + token + `"}`, edit: func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }},
		{client: "VDK", path: authorize, body: "grant_type=refresh_token&refresh_token=" + token + "&client_id=x"},
		{client: "an app of wavefront's", path: "/csp/gateway/am/api/auth/authorize", body: "grant_type=client_credentials&orgId=o", edit: basic, app: true},
		{client: "an app of terraform vmc's", path: "/csp/gateway/am/api/auth/token", body: "grant_type=client_credentials", edit: basic, app: true},
		{client: "an app in the body", path: "/csp/gateway/am/api/auth/token", body: "grant_type=client_credentials&client_id=x&client_secret=" + token, app: true},
	} {
		req := post(t, run.URL+c.path, c.body)
		if c.edit != nil {
			c.edit(req)
		}
		r := do(t, req)
		if r.status != 200 || !strings.HasPrefix(fmt.Sprint(r.body["access_token"]), "access-") || r.body["expires_in"] != float64(1700) || r.body["token_type"] != "bearer" || r.body["scope"] == "" {
			t.Errorf("%s: %d %v", c.client, r.status, r.body)
		}
		if again, ok := r.body["refresh_token"]; ok == c.app || ok && again != token {
			t.Errorf("%s: the refresh_token is %v", c.client, again)
		}
	}
	if h.maxAges[0] != ipc.AgeAtStart || h.maxAges[1] != "1m0s" {
		t.Errorf("the first token is young, and so is that of who asks within a minute: %v", h.maxAges)
	}
}

func TestUnknownLifeIsAskedForAgainSoon(t *testing.T) {
	_, run := start(t, &house{}, ipc.RunRequest{})
	if r := do(t, post(t, run.URL+authorize, "api_token="+run.StandIn.Reveal())); r.body["expires_in"] != float64(60) {
		t.Errorf("%v", r.body)
	}
}

func TestRefusals(t *testing.T) {
	h := &house{expires: 1700}
	_, run := start(t, h, ipc.RunRequest{})
	good := "api_token=" + run.StandIn.Reveal()
	for _, c := range []struct {
		what   string
		path   string
		body   string
		edit   func(*http.Request)
		status int
	}{
		{"no stand-in", authorize, "", nil, 400},
		{"another", authorize, "api_token=" + newStandIn().Reveal(), nil, 400},
		{"half of it", authorize, good[:40], nil, 400},
		{"another host", authorize, good, func(r *http.Request) { r.Host = "evil.example" }, 403},
		{"another port", authorize, good, func(r *http.Request) { r.Host = "127.0.0.1:1" }, 403},
		{"a page", authorize, good, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		{"a page without a name", authorize, good, func(r *http.Request) { r.Header["Origin"] = []string{""} }, 403},
		{"a page of nobody's", authorize, good, func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		{"a page's image", authorize, good, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		{"another path", "/csp/gateway/am/api/loggedin/user/orgs", good, nil, 404},
		{"too much", authorize, good + strings.Repeat("x", ipc.MaxRequestBody), nil, 400},
		{"GET", authorize + "?" + good, "", func(r *http.Request) { r.Method = "GET" }, 404},
	} {
		req := post(t, run.URL+c.path, c.body)
		if c.edit != nil {
			c.edit(req)
		}
		if r := do(t, req); r.status != c.status || r.body["access_token"] != nil {
			t.Errorf("%s: %d %v", c.what, r.status, r.body)
		}
	}
	for err, status := range map[ipc.Code]int{ipc.CodeRefused: 400, ipc.CodeUnreachable: 503, ipc.CodeLocked: 503, ipc.CodeStoreLocked: 503, ipc.CodeRefusedForNow: 503, ipc.CodeBusy: 429, ipc.CodeNotAllowed: 403} {
		h.mu.Lock()
		h.fail = &ipc.Error{Code: err, Message: "so it is"}
		h.mu.Unlock()
		r := do(t, post(t, run.URL+authorize, good))
		if r.status != status || (status > 403) != (r.header.Get("Retry-After") != "") {
			t.Errorf("%s: %d %v", err, r.status, r.header)
		}
		if message := fmt.Sprint(r.body["message"]); (status == 400) != strings.HasPrefix(message, "invalid_grant: ") {
			t.Errorf("%s: %s", err, message)
		}
	}
}

// Ten thousand guesses are throttled, put on record once, and keep nobody from
// exchanging the stand-in.
func TestGuessesAreThrottledAndOnRecordOnce(t *testing.T) {
	h := &house{expires: 1700}
	_, run := start(t, h, ipc.RunRequest{})
	c := http.Client{}
	var throttled, passed atomic.Int64
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			for range 500 {
				resp, err := c.Post(run.URL+authorize, "application/x-www-form-urlencoded", strings.NewReader("api_token=guess"))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				switch resp.StatusCode {
				case 429:
					throttled.Add(1)
				case 200:
					passed.Add(1)
				}
			}
		})
	}
	for range 5 {
		if r := do(t, post(t, run.URL+authorize, "api_token="+run.StandIn.Reveal())); r.status != 200 {
			t.Errorf("the stand-in: %d %v", r.status, r.body)
		}
	}
	work.Wait()
	if n := throttled.Load(); n < 9900 || passed.Load() > 0 {
		t.Errorf("%d throttled, %d passed", n, passed.Load())
	}
	if len(h.refused) != 1 || h.refused[0] != ReasonBadStandIn {
		t.Errorf("on record: %v", h.refused)
	}
}

func TestStandInIsNotExchangedWithoutEnd(t *testing.T) {
	_, run := start(t, &house{expires: 1700}, ipc.RunRequest{})
	var passed, throttled int
	for range 2 * burst { // without a network between, which would be slower than what is allowed
		r := httptest.NewRequest("POST", authorize, strings.NewReader("api_token="+run.StandIn.Reveal()))
		r.Host = run.HostPort
		w := httptest.NewRecorder()
		run.server.Handler.ServeHTTP(w, r)
		switch {
		case w.Code == 200:
			passed++
		case w.Code == 429 && w.Header().Get("Retry-After") == "1":
			throttled++
		default:
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	if passed < burst || throttled == 0 {
		t.Errorf("%d passed, %d throttled", passed, throttled)
	}
}

func TestRunEnds(t *testing.T) {
	for _, c := range []struct {
		why string
		end func(*Runs)
	}{
		{ipc.RunEndedLock, func(r *Runs) { r.Publish(ipc.Event{Type: ipc.EventLocked}) }},
		{ipc.RunEndedLogout, func(r *Runs) { r.Publish(ipc.Event{Type: ipc.EventLogout, Profile: "prod"}) }},
		{ipc.RunEndedLogout, func(r *Runs) { r.Publish(ipc.Event{Type: ipc.EventLogin, Profile: "prod", Org: "another"}) }},
		{ipc.RunEndedLogout, func(r *Runs) { r.Publish(ipc.Event{Type: ipc.EventLogin, Profile: "prod", Server: "another"}) }},
		{ipc.RunEndedLogout, func(r *Runs) { r.Renamed("prod") }},
		{"", func(r *Runs) { r.Close() }},
	} {
		why, end := c.why, c.end
		runs, run := start(t, &house{expires: 1700}, ipc.RunRequest{})
		runs.Publish(ipc.Event{Type: ipc.EventLogout, Profile: "other"})
		runs.Publish(ipc.Event{Type: ipc.EventLogin, Profile: "prod"}) // of the same organization
		runs.Renamed("other")
		select {
		case <-run.Done():
			t.Error("it ended for another profile's logout")
		default:
		}
		end(runs)
		<-run.Done()
		if e := run.End(); (e == nil) != (why == "") || e != nil && e.Ended != why {
			t.Errorf("%q: %v", why, e)
		}
		if resp, err := http.Post(run.URL+authorize, "", strings.NewReader("api_token="+run.StandIn.Reveal())); err == nil {
			t.Errorf("%s after the end", resp.Status)
			resp.Body.Close()
		}
	}
	_, run := start(t, &house{}, ipc.RunRequest{Lifetime: "1s"})
	<-run.Done()
	if e := run.End(); e == nil || e.Ended != ipc.RunEndedTime {
		t.Errorf("its time is over: %v", e)
	}
}

// A run goes on, with the same stand-in, port and certificate, after its agent
// was started again.
func TestRunGoesOn(t *testing.T) {
	for _, tls := range []bool{false, true} {
		h := &house{expires: 1700}
		runs, run := start(t, h, ipc.RunRequest{TLS: tls})
		if _, err := runs.Start(ipc.RunRequest{Again: run.Again}, h.holder()); err == nil {
			t.Error("it goes on twice")
		}
		runs.Close()
		if _, err := runs.Start(ipc.RunRequest{}, h.holder()); err == nil {
			t.Error("an agent that ends makes a run")
		}
		_, again := start(t, h, ipc.RunRequest{Again: run.Again})
		if again.StandIn.Reveal() != run.StandIn.Reveal() || again.URL != run.URL || again.CA != run.CA || !again.EndsAt.Equal(run.EndsAt) || again.ID == run.ID {
			t.Errorf("%+v became %+v", run.Run, again.Run)
		}
		other := h.holder()
		other.Profile = "other"
		if _, err := new(Runs).Start(ipc.RunRequest{Again: run.Again}, other); err == nil {
			t.Error("it goes on for another profile")
		}
		for _, change := range []func(*Holder){func(h *Holder) { h.Org = "other" }, func(h *Holder) { h.Server = "https://other.example" }} {
			other := h.holder()
			change(&other)
			if _, err := new(Runs).Start(ipc.RunRequest{Again: run.Again}, other); err == nil {
				t.Error("it goes on for another organization")
			}
		}
	}
}

func TestHTTPS(t *testing.T) {
	_, run := start(t, &house{expires: 1700}, ipc.RunRequest{TLS: true})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(run.CA)) || !strings.HasPrefix(run.URL, "https://127.0.0.1:") {
		t.Fatalf("%+v", run.Run)
	}
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := c.PostForm(run.URL+authorize, url.Values{"api_token": {run.StandIn.Reveal()}})
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}

func TestBoundOfRuns(t *testing.T) {
	h := &house{}
	runs, _ := start(t, h, ipc.RunRequest{})
	for range maxRunsPerUID - 1 {
		if _, err := runs.Start(ipc.RunRequest{}, h.holder()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := runs.Start(ipc.RunRequest{}, h.holder()); err == nil || asError(err).Code != ipc.CodeBusy {
		t.Errorf("%v", err)
	}
}

func TestLifetime(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "8h": true, "30d": true, "31d": false, "-1s": false, "0": false, "soon": false} {
		if _, bad := lifetime(text); (bad == nil) != ok {
			t.Errorf("%q: %v", text, bad)
		}
	}
}

func FuzzTicket(f *testing.F) {
	now := time.Now()
	run := ticket{StandIn: secret.Wire{Text: newStandIn()}, Profile: "prod", Port: 4000, EndsAt: now.Add(time.Hour)}
	f.Add(run.text().Reveal())
	f.Add("e30")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		got, bad := readTicket(text, Holder{Profile: "prod"}, now)
		if bad != nil {
			return
		}
		if !isStandIn(got.StandIn.Reveal()) || got.Port < firstPort || !got.EndsAt.After(now) || got.tls() && got.certificates().Check(now) != nil {
			t.Errorf("%+v", got)
		}
	})
}

func FuzzCredential(f *testing.F) {
	f.Add("api_token=x", "refresh_token=y", "Basic eDp5")
	f.Add(`{"refresh_token":"x"}`, "%zz", "")
	f.Fuzz(func(t *testing.T, body, query, auth string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Authorization": {auth}}}
		credentialOf(r, []byte(body))
	})
}
