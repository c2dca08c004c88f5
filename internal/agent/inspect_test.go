package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// PublicKeys makes the server one that publishes its keys.
func (s *server) PublicKeys(_ context.Context, c provider.Credential) ([]byte, error) {
	keys := get(s, func(s *server) func(provider.Credential) ([]byte, error) { return s.keys })
	if keys == nil {
		return nil, astray
	}
	return keys(c)
}

// verify judges a token by keys that say it themselves.
func verify(_ string, keys []byte) error {
	switch string(keys) {
	case "good":
		return nil
	case "bad":
		return fmt.Errorf("%w: forged", provider.ErrSignature)
	}
	return errors.New("unknown kid\n")
}

// gives lets the server hand out a JWT with these claims.
func (w *world) gives(claims string) {
	w.server.set(func(s *server) {
		s.edit = func(t *provider.Token) { t.Access = secret.New(jwt(claims)) }
	})
}

func (w *world) inspect() ipc.Inspection {
	w.t.Helper()
	in, err := w.Inspect(context.Background(), "prod", false)
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func TestInspectTellsWhatIsInside(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.gives(`{"sub":"example.com:1","iss":"https://gaz.example","azp":"client","domain":"example.com","context":"ctx","context_name":"org-1",
			"username":"jo","acct":"jo@example.com","aud":["a","b"],"perms":["csp:org_owner","external/vmc/op",7,"x\u001b[2J\u202e"],"group_names":["g"],
			"scope":"openid email","iat":1767225600,"exp":1767227400}`)
		w.server.set(func(s *server) { s.keys = func(provider.Credential) ([]byte, error) { return []byte("good"), nil } })
		in := w.inspect()
		want := ipc.Inspection{
			Profile: "prod", Provider: "csp", Format: ipc.FormatJWT,
			Issuer: "https://gaz.example", Subject: "example.com:1", Username: "jo", Acct: "jo@example.com", Domain: "example.com", Org: "org-1",
			ClientID: "client", Audience: []string{"a", "b"}, Scope: []string{"openid", "email"}, Groups: []string{"g"},
			Permissions: []string{"csp:org_owner", "external/vmc/op", "x?[2J?"},
			IssuedAt:    time.Unix(1767225600, 0).UTC(), ExpiresAt: time.Unix(1767227400, 0).UTC(),
			ServedUntil: in.ServedUntil, Remaining: in.Remaining, ClockSkew: in.ClockSkew,
			Signature: ipc.Signature{Status: ipc.SignatureValid},
		}
		if a, b := asJSON(in), asJSON(want); a != b {
			t.Errorf("got  %s\nwant %s", a, b)
		}
		if in.Remaining < 1780 || in.ServedUntil.IsZero() {
			t.Errorf("%+v", in)
		}
		w.inspect()
		w.mustCount(1) // the cached one is looked at
	})
}

func asJSON(v any) string { b, _ := json.Marshal(v); return string(b) }

// P1: what is told of a token is never the token, nor enough to make one.
func TestP1InspectNeverTellsTheToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, claims := range []string{`{"sub":"x"}`, `{}`} {
			w.gives(claims)
			text := asJSON(w.inspect())
			tok := w.mustToken("")
			for part := range strings.SplitSeq(tok, ".") {
				if len(part) > 3 && strings.Contains(text, part) {
					t.Errorf("a part of the token is told: %s", text)
				}
			}
		}
	})
}

func TestInspectSignature(t *testing.T) {
	says := func(keys string, err error) func(provider.Credential) ([]byte, error) {
		return func(provider.Credential) ([]byte, error) { return []byte(keys), err }
	}
	for name, c := range map[string]struct {
		keys         func(provider.Credential) ([]byte, error)
		status, says string
	}{
		"valid":        {says("good", nil), ipc.SignatureValid, ""},
		"invalid":      {says("bad", nil), ipc.SignatureInvalid, "forged"},
		"unknown kid":  {says("other", nil), ipc.SignatureUnchecked, "unknown kid?"},
		"unreachable":  {says("", down), ipc.SignatureUnchecked, "can't be had: 503 service unavailable"},
		"no endpoint":  {nil, ipc.SignatureUnchecked, "can't be had: the server redirects"},
		"out of time":  {says("", context.DeadlineExceeded), ipc.SignatureUnchecked, "no answer in time"},
		"any mistake ": {says("", errors.New("what")), ipc.SignatureUnchecked, "what"},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.gives(`{"sub":"x"}`)
			w.server.set(func(s *server) { s.keys = c.keys })
			got := w.inspect().Signature
			if got.Status != c.status || !strings.Contains(got.Reason, c.says) || (got.Reason == "") != (c.says == "") || strings.Contains(got.Reason, "\n") {
				t.Errorf("%s: got %+v", name, got)
			}
		})
	}
}

// P1: keys are asked for without the secret, and without reading it.
func TestP1InspectAsksForKeysWithoutTheSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.gives(`{"sub":"x"}`)
		w.mustToken("")
		reads := w.store.reads
		w.server.set(func(s *server) {
			s.keys = func(c provider.Credential) ([]byte, error) {
				if !c.Secret.IsZero() || !c.Previous.IsZero() || c.Origin != "https://csp.example" {
					t.Errorf("asked with %+v", c)
				}
				return []byte("good"), nil
			}
		})
		if got := w.inspect().Signature; got.Status != ipc.SignatureValid {
			t.Errorf("%+v", got)
		}
		if w.store.reads != reads {
			t.Error("the secret was read")
		}
	})
}

func TestInspectOpaqueToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		in := w.inspect() // the server's tokens are opaque unless a test says otherwise
		if in.Format != ipc.FormatOpaque || in.Signature.Status != ipc.SignatureUnchecked || !strings.Contains(in.Signature.Reason, "opaque") ||
			in.Remaining < 1700 || in.ClockSkew == nil || !in.IssuedAt.IsZero() {
			t.Errorf("%+v", in)
		}
	})
}

// The server's clock against this machine's, to the second.
func TestT2InspectTellsTheClockSkew(t *testing.T) {
	for _, c := range []struct {
		skew, delay time.Duration
		want        []int64 // nil: not known
	}{
		{0, 0, []int64{0}},
		{0, 8 * time.Second, []int64{0}}, // the way of the answer explains it
		{90 * time.Second, 0, []int64{89, 90, 91}},
		{-time.Hour, 2 * time.Second, []int64{-3599, -3600, -3601}},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.clock.stepWall(epoch.Sub(w.clock.Now().Wall) + w.clock.Now().Boot) // both tell the same
			w.server.set(func(s *server) { s.skew, s.delay = c.skew, c.delay })
			got := w.inspect().ClockSkew
			if got == nil || !slices.Contains(c.want, *got) {
				t.Errorf("skew %v, delay %v: got %v", c.skew, c.delay, asJSON(got))
			}
		})
	}
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.undated = true })
		if got := w.inspect().ClockSkew; got != nil {
			t.Errorf("got %d of a server that tells no time", *got)
		}
	})
}

func TestInspectFailsAsTokenDoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name string
			fail error
			want ipc.Code
		}{{"nobody", nil, ipc.CodeNoSuchProfile}, {"prod", down, ipc.CodeUnreachable}, {"prod", permanent, ipc.CodeRefused}} {
			w.failWith(c.fail)
			_, err := w.Inspect(t.Context(), c.name, false)
			w.mustFail(err, c.want)
			time.Sleep(time.Minute)
		}
	})
}
