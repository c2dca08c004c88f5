package agent

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"

	"github.com/cspctl/cspctl/internal/ipc"
)

func token(header, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(header)) + "." + b64([]byte(claims)) + ".c2ln"
}

// Claims come in forms of many kinds; what is none is left out.
func TestReadJWT(t *testing.T) {
	for _, c := range []struct{ header, claims, want string }{
		{`{"alg":"RS256","kid":"k"}`, `{"aud":"one","scope":["a","b c"],"user_name":"jo","cid":"c"}`, "RS256 k one|a,b c|jo|c|"},
		{`{"alg":7}`, `{"aud":5,"scope":null,"username":{},"perms":"p"}`, "  |||" + "|p"},
		{`{}`, `{"scope":"a  b","perms":[null,"",["x"],"q"]}`, "  |a,b|||q"},
	} {
		in, ok := readJWT(token(c.header, c.claims))
		got := in.Algorithm + " " + in.KeyID + " " + strings.Join(in.Audience, ",") + "|" + strings.Join(in.Scope, ",") + "|" + in.Username + "|" + in.ClientID + "|" + strings.Join(in.Permissions, ",")
		if !ok || in.Format != ipc.FormatJWT || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.claims, got, ok, c.want)
		}
	}
	for _, opaque := range []string{"", "opaque", "a.b", "a.b.c", token(`[]`, `{}`), token(`{}`, `[]`), token(`{}`, `null`), token(`null`, `{}`)} {
		if in, ok := readJWT(opaque); ok || in.Format != ipc.FormatOpaque {
			t.Errorf("%q is read as a JWT", opaque)
		}
	}
}

func FuzzReadJWT(f *testing.F) {
	f.Add(token(`{"alg":"RS256"}`, `{"perms":["a"],"aud":"b","scope":"c d","exp":1}`))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, tok string) {
		in, ok := readJWT(tok)
		if ok == (in.Format == ipc.FormatOpaque) {
			t.Error("a JWT and opaque")
		}
		for _, s := range append([]string{in.Algorithm, in.Org, in.Username, in.Subject}, in.Permissions...) {
			if strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("a control character in %q", s)
			}
		}
	})
}
