package config

import (
	"strings"
	"testing"
)

// On Windows, where no uid tells who connects, further sockets are refused.
func TestSocketsBySystem(t *testing.T) {
	k := Socket{Path: t.TempDir(), Role: Role{"observe"}, UIDs: []uint32{1}}
	if text := k.check("windows"); !strings.Contains(text, "Windows") {
		t.Errorf("windows: %q", text)
	}
	for _, goos := range []string{"linux", "darwin"} {
		if text := k.check(goos); text != "" {
			t.Errorf("%s: %q", goos, text)
		}
	}
}
