package ipc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{"prod", "a", "0", "a.b_c-D9", strings.Repeat("x", 64)} {
		if err := ipc.CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "../x", "..", ".a", "-a", "_a", "a/b", "a b", "a\nb", "ä", "a%2f", "a\x00", strings.Repeat("x", 65), strings.Repeat("x", 300)} {
		if err := ipc.CheckName(bad); err == nil || err.Code != ipc.CodeBadProfileName {
			t.Errorf("%q: accepted, or wrong code: %v", bad, err)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "5m": 5 * time.Minute, "90s": 90 * time.Second, "14d": 14 * 24 * time.Hour,
		"1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if got, err := ipc.ParseDuration(in); err != nil || got != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "5", "-5m", "d", "1.5d", "5 m", "1d-1h", "99999d999999999999h", "x\n", "999999d"} {
		if got, err := ipc.ParseDuration(bad); err == nil {
			t.Errorf("%q: accepted as %v", bad, got)
		}
	}
}
