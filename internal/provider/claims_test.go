package provider_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

func jwt(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestReadClaims(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	for _, c := range []struct {
		name, token string
		want        provider.Claims
		fails       bool
	}{
		{name: "both", token: jwt(`{"iat":1536169465,"exp":1536171265}`), want: provider.Claims{IssuedAt: at(1536169465), ExpiresAt: at(1536171265)}},
		{name: "fraction", token: jwt(`{"exp":1536171265.5}`), want: provider.Claims{ExpiresAt: time.Unix(1536171265, 5e8).UTC()}},
		{name: "no claims", token: jwt(`{}`)},
		{name: "exp as string", token: jwt(`{"exp":"1536171265"}`)},
		{name: "exp null", token: jwt(`{"exp":null}`)},
		{name: "exp negative", token: jwt(`{"exp":-5}`)},
		{name: "exp absurd", token: jwt(`{"exp":1e300}`)},
		{name: "exp out of range", token: jwt(`{"exp":1e999}`)},
		{name: "padded payload", token: "e30." + base64.URLEncoding.EncodeToString([]byte(`{"exp":1536171265}`)) + ".s", want: provider.Claims{ExpiresAt: at(1536171265)}},
		{name: "opaque", token: "opaque", fails: true},
		{name: "two parts", token: "a.b", fails: true},
		{name: "four parts", token: jwt(`{}`) + ".x", fails: true},
		{name: "five parts, as in JWE", token: "a.b.c.d.e", fails: true},
		{name: "not base64", token: "e30.!!!.s", fails: true},
		{name: "not JSON", token: "e30.aGVsbG8.s", fails: true},
		{name: "dots", token: strings.Repeat(".", 1<<20), fails: true},
		{name: "empty", token: "", fails: true},
	} {
		got, err := provider.ReadClaims(c.token)
		if (err != nil) != c.fails || !got.ExpiresAt.Equal(c.want.ExpiresAt) || !got.IssuedAt.Equal(c.want.IssuedAt) {
			t.Errorf("%s: got %v, %v; want %v, error %v", c.name, got, err, c.want, c.fails)
		}
	}
}

func FuzzReadClaims(f *testing.F) {
	f.Add(jwt(`{"iat":1536169465,"exp":1536171265}`))
	f.Add("a..b")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := provider.ReadClaims(token)
		if err != nil && (!c.ExpiresAt.IsZero() || !c.IssuedAt.IsZero()) {
			t.Error("claims with an error")
		}
		if y := c.ExpiresAt.Year(); y > 9999 || !c.ExpiresAt.IsZero() && y < 1970 {
			t.Errorf("year %d", y)
		}
	})
}
