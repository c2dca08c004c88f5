package config

import (
	"runtime"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	for _, c := range []struct {
		goos, text string
		key, says  string
	}{
		{"linux", "on_screen_lock = true\nbefore_sleep = true", "", ""},
		{"freebsd", "on_screen_lock = true", "", ""},
		{"darwin", "on_screen_lock = false", "", ""},
		{"darwin", "on_screen_lock = true", "lock.on_screen_lock", "not for macOS"},
		{"windows", "before_sleep = true", "lock.before_sleep", "not for Windows"},
	} {
		text := []byte("[lock]\n" + c.text)
		s, err := parse("config.toml", text)
		if runtime.GOOS == "linux" && err != nil {
			t.Fatal(err)
		}
		key, says := s.Lock.check(c.goos)
		if key != c.key || !strings.Contains(says, c.says) || (says == "") != (c.says == "") {
			t.Errorf("%s, %q: %q, %q", c.goos, c.text, key, says)
		}
		if key != "" && lineOf(text, key) != 2 {
			t.Errorf("%s is found on line %d", key, lineOf(text, key))
		}
	}
	for _, bad := range []string{"on_lock = true", "on_screen_lock = 1"} {
		if _, err := parse("config.toml", []byte("[lock]\n"+bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
