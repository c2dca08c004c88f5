package vcd

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

func answered(status int, body string, header http.Header) upstream.Reply {
	if header == nil {
		header = http.Header{}
	}
	return upstream.Reply{System: apiToken, Host: "vcd.example.com", Status: status, Header: header, Body: []byte(body),
		Clean: upstream.NewCleaner(upstream.RemainSize, secret.New(upstreamtest.Secret))}
}

func supported(versions ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><SupportedVersions xmlns="http://www.vmware.com/vcloud/versions" xmlns:ns2="x">`)
	for _, v := range versions {
		old, v, _ := strings.Cut(v, " ")
		fmt.Fprintf(&b, `<VersionInfo deprecated="%v"><Version>%s</Version><LoginUrl>https://x/api/sessions</LoginUrl><MediaTypeMapping><MediaType>y</MediaType></MediaTypeMapping></VersionInfo>`, old == "old", v)
	}
	return b.String() + `<AlphaVersion deprecated="false"><Version>40.0.0-alpha</Version></AlphaVersion></SupportedVersions>`
}

func TestVersionIsPicked(t *testing.T) {
	for want, versions := range map[string][]string{
		"39.1":    {"old 36.0", "new 37.0", "new 39.1", "new 39.0", "new 38.1"},
		"39.0":    {"new 39.0", "new 40.0", "new 39.1.0-alpha", "new x", "new 39.0.0.1", "new -39.5", "new 39."},
		"38.10":   {"new 38.9", "new 38.10"},
		"37.3":    {"new 37.3", "old 39.0"},
		"36.3":    {"old 36.3", "old 36.0", "old 20.0"},
		"9.1.0":   {"new 9.0.0", "new 9.1.0", "old 39.0"},
		"9.10.0":  {"new 9.9.0", "new 9.10.0", "new 40.0"},
		"38.0":    {"new 9.1.0", "new 38.0"},
		"":        {"new 40.0", "new 27.0", "new 10.0", "new 65536.0"},
		" 39.0\n": {},
	} {
		if len(versions) == 0 {
			versions, want = []string{"new " + want}, strings.TrimSpace(want)
		}
		if got := pickVersion(parseVersions([]byte(supported(versions...)))); got != want {
			t.Errorf("%q: got %q, want %q", versions, got, want)
		}
	}
	for _, body := range []string{"", "x", "<a/>", "{}", "<SupportedVersions>", `<SupportedVersions/>`} {
		if got := parseVersions([]byte(body)); len(got) != 0 {
			t.Errorf("%q: got %v", body, got)
		}
	}
}

func loginReply(body string, header ...string) upstream.Reply {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return answered(200, body, h)
}

func TestLoginReply(t *testing.T) {
	const name, kind = "X-VMWARE-VCLOUD-ACCESS-TOKEN", "X-VMWARE-VCLOUD-TOKEN-TYPE"
	jwt := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1800000000}`)) + ".c2ln"
	minutes := func(v string) string { return `{"id":"urn:x","sessionIdleTimeoutMinutes":` + v + `}` }
	for _, c := range []struct {
		name  string
		reply upstream.Reply
		life  time.Duration
		fails string
	}{
		{name: "idle timeout", reply: loginReply(minutes("60"), name, jwt, kind, "Bearer"), life: time.Hour},
		{name: "as text, type in lower case", reply: loginReply(minutes(`"60"`), name, jwt, kind, "bearer"), life: time.Hour},
		{name: "missing", reply: loginReply(`{}`, name, jwt), life: 30 * time.Minute},
		{name: "null", reply: loginReply(minutes("null"), name, jwt), life: 30 * time.Minute},
		{name: "zero", reply: loginReply(minutes("0"), name, jwt), life: 30 * time.Minute},
		{name: "negative", reply: loginReply(minutes("-1"), name, jwt), life: 30 * time.Minute},
		{name: "absurd", reply: loginReply(minutes("1e300"), name, jwt), life: 30 * time.Minute},
		{name: "no body", reply: loginReply("", name, jwt), life: 30 * time.Minute},
		{name: "no token", reply: loginReply(minutes("30")), fails: "without an access token"},
		{name: "another type", reply: loginReply(minutes("30"), name, jwt, kind, "MAC"), fails: "another type"},
		{name: "shell", reply: loginReply(minutes("30"), name, "$(reboot)"), fails: "characters"},
		{name: "the password", reply: loginReply(minutes("30"), name, upstreamtest.Secret), fails: "back in place"},
		{name: "a web page", reply: loginReply("<html></html>"), fails: "web page"},
	} {
		got, e := readLogin(c.reply, secret.New(upstreamtest.Secret))
		switch {
		case c.fails != "" && (e == nil || !strings.Contains(e.Message, c.fails) || !got.Access.IsZero()):
			t.Errorf("%s: got %+v, %v", c.name, got, e)
		case c.fails == "" && (e != nil || got.ExpiresIn != c.life || got.ExpiresAt.Unix() != 1800000000 || got.Type != "Bearer"):
			t.Errorf("%s: got %+v, %v", c.name, got, e)
		}
	}
}

func TestProxyTokenReply(t *testing.T) {
	yes := true
	for _, c := range []struct {
		body string
		want provider.ProxyToken
		at   string
	}{
		{`{"token":"a!~","type":"PROXY","expirationTimeUtc":"2026-11-20T12:00:00.123Z","requireRotation":null}`, provider.ProxyToken{Type: "PROXY"}, "2026-11-20T12:00:00.123Z"},
		{`{"token":"a!~","expirationTimeUtc":"2026-11-20T12:00:00.000+0000"}`, provider.ProxyToken{}, "2026-11-20T12:00:00Z"},
		{`{"token":"a!~","expirationTimeUtc":"2026-11-20T12:00:00"}`, provider.ProxyToken{}, "2026-11-20T12:00:00Z"},
		{`{"token":"a!~","expirationTimeUtc":"2026-11-20T14:00:00+02:00","requireRotation":"true"}`, provider.ProxyToken{RequireRotation: &yes}, "2026-11-20T12:00:00Z"},
		{`{"token":"a!~","expirationTimeUtc":"9999-12-31T23:59:59-10:00"}`, provider.ProxyToken{}, "0001-01-01T00:00:00Z"},
		{`{"token":"a!~","expirationTimeUtc":"soon","requireRotation":{}}`, provider.ProxyToken{}, "0001-01-01T00:00:00Z"},
		{`{"token":"a!~","id":"urn:1","name":"n\u202e","owner":{"name":"jo","id":"urn:2"},"org":{"name":"acme","id":"urn:3"}}`,
			provider.ProxyToken{ID: "urn:1", Name: "n", Owner: provider.Reference{Name: "jo", ID: "urn:2"}, Org: provider.Reference{Name: "acme", ID: "urn:3"}, Username: "jo", UserID: "urn:2"}, "0001-01-01T00:00:00Z"},
		{`{"token":"a!~","owner":null,"org":5,"username":"x","userId":"urn:4","orgName":"old"}`,
			provider.ProxyToken{Org: provider.Reference{Name: "old"}, Username: "x", UserID: "urn:4"}, "0001-01-01T00:00:00Z"},
	} {
		got, e := readProxyToken(answered(200, c.body, nil), secret.New(upstreamtest.Secret))
		if e != nil || got.Token.Reveal() != "a!~" || got.ExpiresAt.Format(time.RFC3339Nano) != c.at {
			t.Errorf("%s: got %+v, %v", c.body, got, e)
			continue
		}
		if (got.RequireRotation == nil) != (c.want.RequireRotation == nil) || got.RequireRotation != nil && *got.RequireRotation != *c.want.RequireRotation {
			t.Errorf("%s: requireRotation %v", c.body, got.RequireRotation)
		}
		got.Token, got.ExpiresAt, got.RequireRotation, c.want.RequireRotation = secret.Text{}, time.Time{}, nil, nil
		if got != c.want {
			t.Errorf("%s: got %+v", c.body, got)
		}
	}
}

func FuzzError(f *testing.F) {
	f.Add(400, `{"minorErrorCode":"invalid_grant","message":"Invalid refresh token `+upstreamtest.Secret+`","stackTrace":null}`)
	f.Add(403, `<?xml version="1.0" encoding="x"?><Error majorErrorCode="403" message="a&lt;b" minorErrorCode="FORBIDDEN" stackTrace="at"/>`)
	f.Add(400, `<Error message='`)
	f.Add(401, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		r := answered(status, body, nil)
		for _, r.TooLong = range []bool{false, true} {
			for _, e := range []*provider.Error{r.Failure(said(r)), sessionFailure(r), orgUnknown(r, r.Failure(said(r)), "acme")} {
				for _, s := range []string{e.Message, e.Hint, e.Code} {
					upstreamtest.NoRemains(t, "the error", s, upstreamtest.Secret, upstream.RemainSize)
					upstreamtest.Presentable(t, s)
				}
				if e.Message == "" || len(e.Message) > 1500 {
					t.Errorf("message %q", e.Message)
				}
			}
			if sessionFailure(r).Class == provider.Permanent {
				t.Error("a session's end condemns the stored secret")
			}
		}
	})
}

func FuzzVersions(f *testing.F) {
	f.Add(supported("new 39.0", "old 36.3"))
	f.Add(supported("new 9.1.0", "new 40.0"))
	f.Add(`<!DOCTYPE a [<!ENTITY b "c">]><SupportedVersions><VersionInfo><Version>&b;</Version></VersionInfo></SupportedVersions>`)
	f.Fuzz(func(t *testing.T, body string) {
		v := pickVersion(parseVersions([]byte(body)))
		if strings.Trim(v, "0123456789.") != "" || len(v) > 1000 {
			t.Errorf("version %q", v)
		}
	})
}

func FuzzProxyToken(f *testing.F) {
	f.Add(`{"id":"urn:vcloud:token:1","name":"n","token":"abc","type":"PROXY","expirationTimeUtc":"2026-11-20T12:00:00.000Z","requireRotation":false,"owner":{"name":"jo","id":"1"},"org":{"name":"acme"}}`)
	f.Add(`{"token":"` + upstreamtest.Secret + `"}`)
	f.Add(`{"token":"a b","name":"` + upstreamtest.Secret + `"}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, e := readProxyToken(answered(200, body, nil), secret.New(upstreamtest.Secret))
		if e != nil {
			upstreamtest.Presentable(t, e.Message)
			return
		}
		s := got.Token.Reveal()
		if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) || strings.Contains(s, upstreamtest.Secret) {
			t.Errorf("token %q", s)
		}
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		upstreamtest.NoRemains(t, "the rest", string(b), upstreamtest.Secret, upstream.LabelRemainSize)
		id, e := sessionID(answered(200, body, nil))
		if e == nil && strings.ContainsAny(id, "/?#% \n") {
			t.Errorf("id %q", id)
		}
	})
}

func FuzzLogin(f *testing.F) {
	f.Add("abc.DEF", "Bearer", `{"sessionIdleTimeoutMinutes":30}`)
	f.Add(upstreamtest.Secret, "", `{"sessionIdleTimeoutMinutes":"1e400"`)
	f.Add("", "", "<html>")
	f.Fuzz(func(t *testing.T, token, kind, body string) {
		r := answered(200, body, http.Header{"X-Vmware-Vcloud-Access-Token": {token}, "X-Vmware-Vcloud-Token-Type": {kind}})
		got, e := readLogin(r, secret.New(upstreamtest.Secret))
		if e != nil {
			if !got.Access.IsZero() {
				t.Error("a token beside an error")
			}
			upstreamtest.Presentable(t, e.Message)
			return
		}
		if got.ExpiresIn <= 0 || got.ExpiresIn > upstream.TenYears || strings.ContainsAny(got.Access.Reveal(), " \n\"'$`") || strings.Contains(got.Access.Reveal(), upstreamtest.Secret) {
			t.Errorf("got %+v", got)
		}
	})
}

func FuzzReplacement(f *testing.F) {
	f.Add(`{"access_token":"abc","refresh_token":"NextToken","expires_in":3600}`)
	f.Add(`{"refresh_token":"NextToken","access_tok`)
	f.Add(`{"refresh_token":"` + upstreamtest.Secret + `"}`)
	f.Fuzz(func(t *testing.T, body string) {
		sent := secret.New(upstreamtest.Secret)
		got := replacement(answered(200, body, nil), sent)
		if got.Equal(sent) || got.Len() > provider.MaxTokenSize {
			t.Errorf("%d bytes", got.Len())
		}
		if !got.IsZero() {
			if _, err := json.Marshal(got.Reveal()); err != nil || !replaces(answered(200, body, nil), sent) {
				t.Errorf("%q", got.Reveal())
			}
		}
		if !replacement(answered(400, body, nil), sent).IsZero() {
			t.Error("a refusal replaces the secret")
		}
	})
}
