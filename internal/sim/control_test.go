package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/sim"
)

func TestControlPlane(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{ExpiresIn: sim.Duration(time.Hour)})
	control := func(method, path, body string, want int) answer {
		t.Helper()
		a := send(t, method, w.url+"/_sim/"+path, "", body)
		if a.status != want {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.text)
		}
		return a
	}
	a := control("POST", "tokens", `{"name":"two","expires_in":"48h","scopes":["openid"],"life":"60s"}`, 200)
	value, _ := a.json["token"].(string)
	if len(value) != 64 || a.json["expires_at"] == nil {
		t.Fatalf("got %s", a.text)
	}
	if a := w.form(t, "api_token="+value); a.status != 200 || a.json["expires_in"] != 60.0 {
		t.Errorf("got %s", a.text)
	}
	// A change keeps what it does not name.
	a = control("POST", "tokens", `{"name":"two","passcode":"123456"}`, 200)
	if a.json["token"] != value || a.json["life"] != "1m0s" {
		t.Errorf("got %s", a.text)
	}
	if a := w.form(t, "api_token="+value); a.status != 400 {
		t.Errorf("without the passcode: %d", a.status)
	}
	if a := w.form(t, "passcode=123456&api_token="+value); a.status != 200 {
		t.Errorf("with the passcode: %s", a.text)
	}
	control("POST", "tokens", `{"name":"two","passcode":"","deactivated":true}`, 200)
	d := send(t, "POST", w.url+base+"/api-tokens/details", "application/json", `{"tokenValue":"`+value+`"}`)
	if d.json["deactivated"] != true || d.json["deactivatedUpdatedOn"] == nil {
		t.Errorf("got %s", d.text)
	}
	if a := control("GET", "tokens", "", 200); a.text != `["prod","two"]`+"\n" {
		t.Errorf("got %s", a.text)
	}
	control("DELETE", "tokens/two", "", 204)
	control("DELETE", "tokens/two", "", 404)
	control("POST", "tokens", `{}`, 400)
	control("POST", "tokens", `no JSON`, 400)
	control("POST", "tokens", `{"name":"x","expires":"1h"}`, 400)

	control("DELETE", "stats", "", 204)
	control("POST", "faults", `{"endpoint":"authorize","times":2,"status":503}`, 200)
	control("POST", "faults", `{"statos":503}`, 400)
	control("POST", "faults", `{"delay":"soon"}`, 400)
	if a := w.form(t, "api_token="+w.token.Value); a.status != 503 {
		t.Errorf("got %d", a.status)
	}
	if a := control("GET", "faults", "", 200); !strings.Contains(a.text, `"times":1`) {
		t.Errorf("got %s", a.text)
	}
	control("DELETE", "faults", "", 204)
	if a := w.form(t, "api_token="+w.token.Value); a.status != 200 {
		t.Errorf("got %d", a.status)
	}
	if a := control("GET", "wait?exchanges=2&timeout=5s", "", 200); a.json["exchanges"] != 2.0 || a.json["granted"] != 1.0 {
		t.Errorf("got %s", a.text)
	}
	control("GET", "wait?exchanges=3&timeout=1ms", "", 504)
	control("GET", "wait?details=1&timeout=1ms", "", 504)
	control("GET", "wait?exchanges=many", "", 400)
	control("GET", "wait?timeout=soon", "", 400)

	control("POST", "faults", `{"hang":true,"times":1}`, 200)
	done := make(chan error, 1)
	go func() {
		_, err := w.exchange(t.Context())
		done <- err
	}()
	control("GET", "wait?exchanges=3&timeout=10s", "", 200)
	control("POST", "release", "", 204)
	if err := <-done; err != nil {
		t.Errorf("released: %v", err)
	}
	if a := control("GET", "stats", "", 200); a.json["exchanges"] != 3.0 || strings.Contains(a.text, w.token.Value) || !strings.Contains(a.text, `"violations":[]`) {
		t.Errorf("got %s", a.text)
	}
}
