package config

import (
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	for _, c := range []struct {
		goos      string
		lock      Lock
		key, says string
	}{
		{"linux", Lock{true, true}, "", ""},
		{"freebsd", Lock{OnScreenLock: true}, "", ""},
		{"darwin", Lock{}, "", ""},
		{"darwin", Lock{OnScreenLock: true}, "lock.on_screen_lock", "on_screen_lock is not for macOS"},
		{"windows", Lock{BeforeSleep: true}, "lock.before_sleep", "before_sleep is not for Windows"},
	} {
		key, says := c.lock.check(c.goos)
		if key != c.key || !strings.Contains(says, c.says) || (says == "") != (c.says == "") {
			t.Errorf("%s, %+v: %q, %q", c.goos, c.lock, key, says)
		}
	}
	for _, bad := range []string{"on_lock = true", "on_screen_lock = 1"} {
		if _, err := parse("config.toml", []byte("[lock]\n"+bad)); err == nil || !strings.Contains(err.Error(), "config.toml:2: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
