package agent

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// FuzzParseState: whatever the file holds, it is refused, or read into
// something that can be used, written, and read again.
func FuzzParseState(f *testing.F) {
	for _, s := range []string{
		``, `null`, `[]`, `{}`, `{"version":1}`, `{"version":1,"profiles":{}} x`,
		`{"version":1,"default":"prod","profiles":{"prod":{"provider":"csp","origin":"https://x","store":"memory"}}}`,
		`{"version":1,"profiles":{"prod":null}}`,
		`{"version":1,"profiles":{"../x":{}}}`,
		`{"version":1,"profiles":{"p":{"refusal":{"error":{"code":"credential_refused","message":"m"},"at":"2026-01-01T00:00:00Z"}}}}`,
		`{"version":1,"profiles":{"p":{"refusal":{"error":{"code":"passcode_needed"}}}}}`,
		`{"version":1,"profiles":{"p":{"refusal":{}}}}`,
		`{"version":1,"profiles":{"p":{"refusal":{"error":{"code":"nonsense"}}}}}`,
		`{"version":1,"profiles":{"p":{"expiry":{"Known":true,"At":"2026-01-01T00:00:00Z"}}}}`,
		`{"version":2,"profiles":{}}`,
	} {
		f.Add([]byte(s))
	}
	now := Instant{Wall: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Boot: time.Hour}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseState(b)
		if err != nil {
			if c.Profiles != nil {
				t.Error("profiles with an error")
			}
			return
		}
		for name, r := range c.Profiles {
			if r == nil || ipc.CheckName(name) != nil {
				t.Fatalf("profile %q is %v", name, r)
			}
			acct := r.newAccount(name, now)
			if acct.trouble != nil && (!acct.trouble.permanent() || acct.trouble.err == nil) {
				t.Errorf("the refusal became %+v", acct.trouble)
			}
			acct.trouble.blocks(now, false, false)
			r.account = acct
			_ = r.binding()
			_ = r.profile(c.Default)
			_ = r.status(c.Default, now)
			_ = r.subject()
		}
		again, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := parseState(again)
		if err != nil || len(d.Profiles) != len(c.Profiles) || d.Default != c.Default {
			t.Fatalf("written and read again: %v", err)
		}
	})
}
