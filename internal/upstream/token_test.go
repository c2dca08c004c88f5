package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

var system = &System{Name: "Cloud Services", Secret: "API token", Wanted: "an API token is needed, from the console under My Account > API Tokens",
	Renew: "create another, then run cspctl login", RequestID: "X-Request-Id"}

func answered(status int, contentType, body string) Reply {
	h := http.Header{"Date": {noon.Format(http.TimeFormat)}}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return Reply{System: system, Host: "csp.example.com", Status: status, Header: h, Body: []byte(body), At: noon,
		Clean: NewCleaner(RemainSize, secret.New(upstreamtest.Secret))}
}

func TestT3ExpiresInIsReadLeniently(t *testing.T) {
	for raw, want := range map[string]time.Duration{
		`1799`: 1799 * time.Second, `"1799"`: 1799 * time.Second, `" 1799 "`: 1799 * time.Second, `1799.5`: 1799500 * time.Millisecond, `1.799e3`: 1799 * time.Second,
		`0`: 0, `-1`: 0, `"-5"`: 0, `null`: 0, ``: 0, `""`: 0, `"soon"`: 0, `true`: 0, `{}`: 0, `[1799]`: 0, `1e300`: 0, `"Inf"`: 0, `"NaN"`: 0, `9223372036854775807`: 0, `315360001`: 0,
	} {
		if got := Lifetime(json.RawMessage(raw)); got != want {
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	}
}

func TestTokenReply(t *testing.T) {
	r := answered(200, "application/json", `{"id_token":"a.b.c","token_type":"bearer","expires_in":1799,"scope":["openid","x"],"access_token":"abc.DEF-_~+/==","refresh_token":"`+upstreamtest.Secret+`"}`)
	got, e := r.Token(secret.New(upstreamtest.Secret))
	if e != nil {
		t.Fatal(e)
	}
	if got.Access.Reveal() != "abc.DEF-_~+/==" || got.ID.Reveal() != "a.b.c" || got.Type != "Bearer" || got.Scope != "openid x" ||
		got.ExpiresIn != 1799*time.Second || !got.ServerTime.Equal(noon) || !got.ExpiresAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if !got.Replacement.IsZero() {
		t.Error("the refresh_token of the answer replaces the API token")
	}
}

func TestT11SuccessWithoutTokenIsAnError(t *testing.T) {
	token := func(v string) string { return fmt.Sprintf(`{"access_token":%s,"expires_in":1799}`, v) }
	for _, c := range []struct {
		name, contentType, body string
		class                   provider.Class
	}{
		{"empty", "", "", provider.WrongServer},
		{"empty object", "application/json", "{}", provider.WrongServer},
		{"null", "application/json", token("null"), provider.WrongServer},
		{"empty token", "application/json", token(`""`), provider.WrongServer},
		{"number", "application/json", token("5"), provider.WrongServer},
		{"truncated", "application/json", `{"access_token":"abc`, provider.WrongServer},
		{"text after it", "application/json", token(`"abc"`) + " x", provider.WrongServer},
		{"array", "application/json", "[" + token(`"abc"`) + "]", provider.WrongServer},
		{"line break", "application/json", token(`"abc\ndef"`), provider.WrongServer},
		{"trailing line break", "application/json", token(`"abc\n"`), provider.WrongServer},
		{"shell", "application/json", token(`"$(reboot)"`), provider.WrongServer},
		{"quote", "application/json", token(`"a'b"`), provider.WrongServer},
		{"blank", "application/json", token(`"a b"`), provider.WrongServer},
		{"too long", "application/json", token(`"` + strings.Repeat("a", 64<<10+1) + `"`), provider.WrongServer},
		{"the API token itself", "application/json", token(`"` + upstreamtest.Secret + `"`), provider.WrongServer},
		{"web page", "text/html; charset=utf-8", "<!DOCTYPE html><html></html>", provider.Transient},
		{"web page without a type", "", "\n<HTML><body>", provider.Transient},
		{"web page called JSON", "application/json", "<!doctype html><title>x", provider.Transient},
		{"text", "text/plain", "OK", provider.WrongServer},
	} {
		got, e := answered(200, c.contentType, c.body).Token(secret.New(upstreamtest.Secret))
		if e == nil || e.Class != c.class || !got.Access.IsZero() || e.Status != 200 {
			t.Errorf("%s: got %v, %+v", c.name, got.Access.Len(), e)
			continue
		}
		if !strings.Contains(e.Message, "csp.example.com") {
			t.Errorf("%s: the host is missing: %s", c.name, e.Message)
		}
	}
}

func TestT10RetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "1.5": 1500 * time.Millisecond, "0": 0, "-5": 0, "soon": 0, "5 seconds": 0, "NaN": 0,
		"3600": time.Hour, "7200": time.Hour, "99999999999999999999": time.Hour, "Inf": time.Hour, "-Inf": 0,
		noon.Add(90 * time.Second).Format(http.TimeFormat):     90 * time.Second,
		noon.Add(-time.Hour).Format(http.TimeFormat):           0,
		noon.Add(48 * time.Hour).Format(http.TimeFormat):       time.Hour,
		noon.AddDate(5000, 0, 0).Format(http.TimeFormat):       time.Hour,
		noon.Add(10 * time.Second).Format(time.RFC3339):        0,
		noon.Add(10*time.Second).Format(time.RFC850) + " junk": 0,
	} {
		r := answered(429, "", "")
		r.Header.Set("Retry-After", value)
		if got := r.Failure(Said{}).RetryAfter; got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func FuzzTokenReply(f *testing.F) {
	f.Add("application/json", `{"id_token":"a.b.c","token_type":"bearer","expires_in":1799,"scope":"ALL_PERMISSIONS customer_number openid","access_token":"`+upstreamtest.JWT()+`","refresh_token":"`+upstreamtest.Secret+`"}`)
	f.Add("application/json", `{"access_token":"abc","expires_in":"1799","scope":null,"id_token":5}`)
	f.Add("application/json", `{"access_token":"`+upstreamtest.Secret+`","expires_in":-1}`)
	f.Add("text/html", "<html>")
	f.Add("", "\x1f\x8b")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		got, e := answered(200, contentType, body).Token(secret.New(upstreamtest.Secret))
		if e != nil {
			if !got.Access.IsZero() || e.Class != provider.WrongServer && e.Class != provider.Transient {
				t.Errorf("%v with %+v", got, e)
			}
			upstreamtest.NoRemains(t, "the error", e.Message, upstreamtest.Secret, RemainSize)
			upstreamtest.Presentable(t, e.Message)
			return
		}
		if !b64token.MatchString(got.Access.Reveal()) || got.Access.Len() > provider.MaxTokenSize || got.ExpiresIn < 0 || got.ExpiresIn > TenYears || got.Type != "Bearer" {
			t.Errorf("got %+v", got)
		}
		if strings.Contains(got.Access.Reveal()+got.ID.Reveal(), upstreamtest.Secret) {
			t.Error("a token holds the API token")
		}
		upstreamtest.NoRemains(t, "the scope", got.Scope, upstreamtest.Secret, LabelRemainSize)
	})
}
