package api_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/metrics"
	"github.com/cspctl/cspctl/internal/provider"
)

func pageOf(kind, body string) func(*api.Options) {
	return func(o *api.Options) {
		o.Metrics = func(accept string) (string, []byte, error) { return kind + accept, []byte(body), nil }
	}
}

func TestMetricsPage(t *testing.T) {
	s := newServer(t, api.Observe, pageOf("text/x;", "a 1\n"), func(o *api.Options) {
		o.Unusable = func() *ipc.Error { return &ipc.Error{Code: ipc.CodeConfigInvalid, Message: "bad"} }
	})
	w := ask(s, "GET", "/metrics", "", "Accept", "q")
	if w.Code != 200 || w.Body.String() != "a 1\n" || w.Header().Get("Content-Type") != "text/x;q" || w.Header().Get("Content-Length") != "4" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := ask(newServer(t, api.Owner), "GET", "/metrics", ""); codeOf(t, w) != ipc.CodeNotFound {
		t.Errorf("no metrics: %d", w.Code)
	}
	bad := newServer(t, api.Owner, func(o *api.Options) {
		o.Metrics = func(string) (string, []byte, error) { return "", nil, errors.New("inside") }
	})
	for range 10 { // none of them stays under way
		if w := ask(bad, "GET", "/metrics", ""); codeOf(t, w) != ipc.CodeInternal || strings.Contains(w.Body.String(), "inside") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	huge := newServer(t, api.Owner, pageOf("text/plain", strings.Repeat("x", 4<<20+1)))
	if w := ask(huge, "GET", "/metrics", ""); codeOf(t, w) != ipc.CodeInternal || w.Body.Len() > 1000 {
		t.Errorf("too long: %d, %d bytes", w.Code, w.Body.Len())
	}
}

// slowReader is a client that takes nothing until it is let go.
type slowReader struct {
	*httptest.ResponseRecorder
	writing chan<- bool
	let     <-chan bool
}

func (s slowReader) Write(b []byte) (int, error) {
	s.writing <- true
	<-s.let
	return s.ResponseRecorder.Write(b)
}

func (slowReader) SetWriteDeadline(time.Time) error { return nil }

// T28: scrapers that take nothing are few, and are counted.
func TestT28ScrapersThatDoNotRead(t *testing.T) {
	var refused []string
	s := newServer(t, api.Observe, pageOf("text/plain", "a 1\n"), func(o *api.Options) {
		o.Refused = func(_ listen.Peer, reason string) { refused = append(refused, reason) }
	})
	writing, let, done := make(chan bool), make(chan bool), make(chan bool)
	for range 4 {
		go func() {
			r := httptest.NewRequest("GET", "/metrics", nil)
			r.Host = ipc.Host
			s.ServeHTTP(slowReader{httptest.NewRecorder(), writing, let}, r)
			done <- true
		}()
	}
	for range 4 {
		<-writing
	}
	w := ask(s, "GET", "/metrics", "")
	if codeOf(t, w) != ipc.CodeBusy || w.Header().Get("Retry-After") != "1" || !slices.Equal(refused, []string{ipc.RefusedBusy}) {
		t.Errorf("%d %s, refused %v", w.Code, w.Body, refused)
	}
	close(let)
	for range 4 {
		<-done
	}
	if w := ask(s, "GET", "/metrics", ""); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

func TestRefusedRequestsAreTold(t *testing.T) {
	var refused []string
	s := newServer(t, api.Observe, func(o *api.Options) {
		o.Refused = func(_ listen.Peer, reason string) { refused = append(refused, reason) }
	})
	ask(s, "GET", "/v1/token", "")
	ask(s, "GET", "/v1/status", "")
	ask(s, "GET", "/v1/nothing", "")
	r := httptest.NewRequest("GET", "/v1/status", nil) // its Host is example.com
	s.ServeHTTP(httptest.NewRecorder(), r)
	if want := []string{ipc.RefusedRole, ipc.RefusedHost}; !slices.Equal(refused, want) {
		t.Errorf("told %v, want %v", refused, want)
	}
}

// An observer sees how it is, and nothing that the owner entered or a server said.
func TestStatusForObservers(t *testing.T) {
	const private = "private-"
	change := func(o *api.Options) {
		o.Socket = "/run/observe.sock"
		o.Config = func() ipc.ConfigStatus { return ipc.ConfigStatus{Path: private, Error: private + "line", Kept: true} }
	}
	full := ask(newServer(t, api.Owner, change), "GET", "/v1/status", "").Body.String()
	if !strings.Contains(full, private) || !strings.Contains(full, `"detail"`) {
		t.Fatalf("the owner sees %s", full)
	}
	seen := ask(newServer(t, api.Observe, change), "GET", "/v1/status", "").Body.String()
	for _, not := range []string{private, `"detail"`, `"hint"`} {
		if strings.Contains(seen, not) {
			t.Errorf("an observer sees %s: %s", not, seen)
		}
	}
	for _, want := range []string{`"prod"`, `"state":"ready"`, `"kind":"memory"`, `"status":"ready"`, `"the settings can't be used"`, `"/run/observe.sock"`, `"access_token":{"obtained_at"`} {
		if !strings.Contains(seen, want) {
			t.Errorf("an observer does not see %s: %s", want, seen)
		}
	}
}

// A field that is added to the status is not an observer's until somebody says so.
func TestObservedFieldByField(t *testing.T) {
	var st ipc.Status
	st.Profiles = make([]ipc.ProfileStatus, 1)
	st.Stores = make([]ipc.StoreStatus, 1)
	fill(reflect.ValueOf(&st).Elem())
	b, err := json.Marshal(api.Observed(st))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Socket   string
		Config   map[string]any
		Stores   []map[string]any
		Profiles []map[string]any
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	keys := func(m map[string]any) string {
		var list []string
		for k := range m {
			list = append(list, k)
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	for _, c := range []struct{ got, want string }{
		{keys(got.Config), "error kept path"},
		{keys(got.Stores[0]), "kind status"},
		{keys(got.Profiles[0]), "access_token api_token cache_hits cache_misses deactivated default exchanges last_error last_exchange_at " +
			"logged_in_at logged_out name org provider renew_url retry_at server state store token_name"},
		{keys(got.Profiles[0]["last_error"].(map[string]any)), "code hint message retry_in"},
	} {
		if c.got != c.want {
			t.Errorf("an observer sees %s, want %s", c.got, c.want)
		}
	}
	if e := got.Profiles[0]["last_error"].(map[string]any); e["message"] != e["code"] || got.Config["path"] != "" || got.Socket == "" {
		t.Errorf("%v, %v, %q", e, got.Config, got.Socket)
	}
}

// fill gives every field below v a value other than zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("filled")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1e9, 0)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// manyProfiles is a state file with n profiles.
type manyProfiles struct {
	noFile
	n int
}

func (f manyProfiles) Read() ([]byte, error) {
	type record map[string]any
	all := map[string]record{}
	for i := range f.n {
		all["profile-with-a-name-that-is-as-long-as-names-of-teams-get-"+strconv.Itoa(i)] = record{
			"provider": "csp", "server": "https://csp.example", "origin": "https://csp.example", "org": "org", "store": "memory",
			"token_name": strings.Repeat("n", 60), "checked_at": "2026-05-04T12:00:00Z", "expiry": map[string]any{"Known": true, "At": "2026-06-04T12:00:00Z"},
		}
	}
	return json.Marshal(map[string]any{"version": 1, "profiles": all})
}

// Scrapers get all of it where cspctl's bound is far behind.
func TestMetricsOfFiveHundredProfiles(t *testing.T) {
	a, err := agent.New(agent.Options{
		Providers: map[string]agent.Provider{provider.CSP: upstream{}},
		Stores:    map[string]agent.Store{provider.Memory: keychain.NewMemory()},
		State:     manyProfiles{n: 500}, Clock: bootclock.Clock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	m := metrics.New()
	m.Attach(a, nil)
	w := ask(api.New(api.Options{Agent: a, Role: api.Observe, Metrics: m.Page}), "GET", "/metrics", "")
	body := w.Body.String()
	if n := strings.Count(body, "\ncsp_api_token_expiry_timestamp_seconds{"); w.Code != 200 || n != 500 || len(body) < ipc.MaxReplyBody {
		t.Errorf("%d: %d profiles in %d bytes", w.Code, n, len(body))
	}
	t.Logf("%d KiB", len(body)>>10)
}
