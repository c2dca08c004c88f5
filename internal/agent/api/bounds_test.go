package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/ipc"
)

func put(s *api.Server, name, more string) ipc.Error {
	w := ask(s, "PUT", "/v1/profiles/"+name, `{"secret":"`+apiToken+`","store":"memory","no_verify":true`+more+`}`)
	var e ipc.Error
	_ = json.Unmarshal(w.Body.Bytes(), &e) // of a success, it has no code
	return e
}

func TestSettingsThatAreTooLong(t *testing.T) {
	s := newServer(t, api.Owner)
	x := func(n int) string { return strings.Repeat("x", n) }
	// object is JSON of n bytes, quoted.
	object := func(n int) string { return `"{\"a\":\"` + x(n-len(`{"a":""}`)) + `\"}"` }
	for more, bad := range map[string]bool{
		`,"scope":["` + x(4000) + `"]`:                       false,
		`,"scope":["` + x(4100) + `"]`:                       true,
		`,"scope":["` + strings.Repeat(`x","`, 3000) + `y"]`: true,
		`,"resource_scope":` + object(16<<10):                false,
		`,"resource_scope":` + object(16<<10+1):              true,
		`,"org":"` + x(1025) + `"`:                           true,
		`,"user":"` + x(1025) + `"`:                          true,
		`,"client_id":"` + x(1025) + `"`:                     true,
		`,"server":"https://csp.example/` + x(1025) + `"`:    true,
	} {
		e := put(s, "p", more)
		if (e.Code == ipc.CodeBadRequest && strings.Contains(e.Message, "may have")) != bad || !bad && e.Code != "" {
			t.Errorf("%.40s: %+v", more, e)
		}
	}
}

// However many are logged in at the same time, there are never too many
// profiles, and those that are there can be logged in to again.
func TestNumberOfProfiles(t *testing.T) {
	s := newServer(t, api.Owner) // has one already
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i := range 300 {
		wg.Go(func() {
			e := put(s, fmt.Sprint("p", i), "")
			if e.Code == "" {
				return
			}
			if e.Code != ipc.CodeBadRequest || !strings.Contains(e.Message, "256 profiles") || e.Hint == "" {
				t.Errorf("%+v", e)
			}
			mu.Lock()
			refused++
			mu.Unlock()
		})
	}
	wg.Wait()
	if refused != 300-255 {
		t.Errorf("%d were refused", refused)
	}
	if e := put(s, "prod", ""); e.Code != "" {
		t.Errorf("again: %+v", e)
	}
}

// A reply that no client would take is an error that says so, and one profile
// can be had all the same.
func TestReplyOverTheBound(t *testing.T) {
	s := newServer(t, api.Owner)
	scope := strings.Repeat("x", 4000)
	for i := range 70 {
		if e := put(s, fmt.Sprint("p", i), `,"scope":["`+scope+`"]`); e.Code != "" {
			t.Fatalf("%+v", e)
		}
	}
	for _, path := range []string{"/v1/profiles", "/v1/status"} {
		w := ask(s, "GET", path, "")
		var e ipc.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 500 || e.Code != ipc.CodeInternal || e.Hint == "" || w.Body.Len() > 1000 {
			t.Errorf("%s: %d, %d bytes, %+v", path, w.Code, w.Body.Len(), e)
		}
	}
	for path, want := range map[string]string{"/v1/profile?name=p7": "p7", "/v1/profile": "prod", "/v1/profile?name=": "prod", "/v1/profiles/p7": "p7"} {
		w := ask(s, "GET", path, "")
		var p ipc.Profile
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 || p.Name != want {
			t.Errorf("%s: %d %.100s", path, w.Code, w.Body)
		}
	}
	if w := ask(s, "GET", "/v1/profile?name=nobody", ""); codeOf(t, w) != ipc.CodeNoSuchProfile {
		t.Errorf("%s", w.Body)
	}
}
