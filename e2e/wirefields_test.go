//go:build unix

package e2e_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sim"
)

// bodies are the requests of the wire that have a body. Each field of them is
// listed in fieldValues.
var bodies = []any{ipc.LoginRequest{}, ipc.TokenRequest{}, ipc.RenameRequest{}, ipc.LockRequest{}, ipc.UnlockRequest{}, ipc.RunRequest{}, ipc.SinkRequest{}}

// garbage could be an API token, and is none.
const garbage = "no-such-token-no-such-token-no-such-token"

// thief is a server that would like to see somebody else's secret: a whole
// simulator, with an account of its own, that writes down what arrives.
type thief struct {
	url, token, ca string
	mu             sync.Mutex
	seen           bytes.Buffer
}

func newThief(t *testing.T) *thief {
	t.Helper()
	s := sim.New(sim.Options{})
	own, err := s.AddToken(sim.APIToken{Name: "thief", OpenID: true})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	th := &thief{token: own.Value, ca: string(ca.PEM())}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := httputil.DumpRequest(r, true)
		th.mu.Lock()
		fmt.Fprintf(&th.seen, "%s%v\n", b, err)
		if u, err := url.QueryUnescape(string(b)); err == nil {
			th.seen.WriteString(u)
		}
		th.mu.Unlock()
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	th.url = server.URL
	return th
}

func (th *thief) saw(what []byte) bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	return bytes.Contains(th.seen.Bytes(), what)
}

// fieldValues are what is tried in each field of the wire's requests.
func (th *thief) fieldValues() map[string][]any {
	return map[string][]any{
		"LoginRequest.provider":       {"csp", "csp-app", "vcd", "vcd-session"},
		"LoginRequest.server":         {th.url, th.url + "/", ""},
		"LoginRequest.org":            {"thief", ""},
		"LoginRequest.client_id":      {"thief"},
		"LoginRequest.user":           {"thief"},
		"LoginRequest.store":          {"file", "memory"},
		"LoginRequest.ca":             {th.ca},
		"LoginRequest.scope":          {[]string{th.url}},
		"LoginRequest.resource_scope": {`{"server":"` + th.url + `"}`},
		"LoginRequest.secret":         {"", " ", nil, garbage, th.token},
		"LoginRequest.passcode":       {"123456"},
		"LoginRequest.default":        {true},
		"LoginRequest.replace":        {true},
		"LoginRequest.no_verify":      {true},
		"LoginRequest.interactive":    {true},

		"TokenRequest.profile":        {"prod", th.url, ""},
		"TokenRequest.min_ttl":        {"29m", th.url},
		"TokenRequest.kind":           {"access", "id", "proxy", th.url},
		"TokenRequest.fresh":          {true},
		"TokenRequest.max_age":        {"1m", th.url},
		"TokenRequest.caller":         {"1:1", th.url},
		"TokenRequest.interactive":    {true},
		"TokenRequest.warnings":       {"always", th.url},
		"TokenRequest.passcode":       {"123456"},
		"TokenRequest.scope":          {[]string{th.url}},
		"TokenRequest.resource_scope": {`{"server":"` + th.url + `"}`},

		"RenameRequest.to": {"thief", "other", "prod", th.url},

		"RunRequest.profile":  {"prod", th.url, ""},
		"RunRequest.tls":      {true},
		"RunRequest.lifetime": {"1h", th.url},
		"RunRequest.again":    {th.url, garbage},
		"SinkRequest.profile": {"prod", th.url},
		"SinkRequest.format":  {"header", th.url},
		"SinkRequest.file":    {th.url, "/dev/stdout"},
		"SinkRequest.mode":    {"0666", th.url},

		"LockRequest.passphrase":   {"x"},
		"UnlockRequest.passphrase": {"x"},
		"UnlockRequest.choose":     {true},
	}
}

// jsonFields lists the fields of a request by their names on the wire.
func jsonFields(v any) (names []string) {
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "-" { // not on the wire
			names = append(names, reflect.TypeOf(v).Name()+"."+name)
		}
	}
	return names
}

// Whoever adds a field or a path to the wire has it tried in
// TestP1NothingOnTheWireRepointsASecret, too.
func TestP1EveryFieldOfTheWireIsTried(t *testing.T) {
	var have []string
	for _, b := range bodies {
		have = append(have, jsonFields(b)...)
	}
	tried := slices.Collect(maps.Keys((&thief{}).fieldValues()))
	slices.Sort(have)
	slices.Sort(tried)
	if !slices.Equal(have, tried) {
		t.Errorf("the wire has\n%q\ntried are\n%q", have, tried)
	}

	sources, err := filepath.Glob("../internal/ipc/*.go")
	if err != nil || len(sources) < 10 {
		t.Fatal(err, sources)
	}
	var types []string
	for _, file := range sources {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^type (\w+Request) struct`).FindAllSubmatch(b, -1) {
			types = append(types, string(m[1]))
		}
	}
	for _, name := range types {
		if !slices.ContainsFunc(bodies, func(b any) bool { return reflect.TypeOf(b).Name() == name }) {
			t.Errorf("ipc.%s is not tried", name)
		}
	}
	if len(types) < len(bodies) {
		t.Errorf("found the types %q alone", types)
	}
}

// wirePaths are the method and path of every route, as the agent's source has
// them.
func wirePaths(t *testing.T) [][2]string {
	t.Helper()
	b, err := os.ReadFile("../internal/agent/api/routes.go")
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for _, m := range regexp.MustCompile(`pattern: "(\w+) ([^"]+)"`).FindAllSubmatch(b, -1) {
		all = append(all, [2]string{string(m[1]), string(m[2])})
	}
	if len(all) < 17 {
		t.Fatalf("found %d routes", len(all))
	}
	return all
}
