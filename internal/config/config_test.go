package config_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/cspctl/cspctl/internal/config"
)

func write(t testing.TB, text string) string {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATypoIsAnErrorWithItsLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
	}{
		{"unknown key", "# settings\nstore = \"file\"\nallow_rot = true\n", 3},
		{"unknown table", "\n[nothing]\nx = 1\n", 2},
		{"wrong type", "allow_root = \"yes\"\n", 1},
		{"not TOML", "store = \n", 1},
		{"no such store", "\n\nstore = \"clay\"\n", 3},
		{"no such level", "log_level = \"loud\"", 1},
		{"no URL", "https_proxy = \"proxy\"", 1},
		{"CA missing", "\nca_file = \"/nonexistent/ca.pem\"", 2},
		{"twice", "store = \"file\"\nstore = \"file\"\n", 2},
	} {
		_, err := config.Load(write(t, c.text))
		e, ok := errors.AsType[*config.Error](err)
		if !ok || e.Line != c.line {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestGoodAndMissingFiles(t *testing.T) {
	if s, err := config.Load(filepath.Join(t.TempDir(), "none")); err != nil || s.Store != "" {
		t.Errorf("missing: %v", err)
	}
	if s, err := config.Load(write(t, "store = \"file\"\nlog_level = \"debug\"\n")); err != nil || s.Store != "file" || s.Level() >= 0 {
		t.Errorf("good: %+v, %v", s, err)
	}
	if _, err := config.Load(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}

func TestT12ProxyFromTheSettingsOrTheEnvironment(t *testing.T) {
	r, _ := http.NewRequest("POST", "https://console.cloud.vmware.com/x", nil)
	t.Setenv("HTTPS_PROXY", "http://env.example:1")
	t.Setenv("NO_PROXY", "")
	for text, want := range map[string]string{
		"":                                       "http://env.example:1",
		"https_proxy = \"http://set.example:2\"": "http://set.example:2",
		"https_proxy = \"http://set.example:2\"\nno_proxy = \"cloud.vmware.com\"": "",
	} {
		s, err := config.Load(write(t, text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if u, err := s.Proxy()(r); err != nil {
			t.Error(err)
		} else if u != nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("store = \"file\"\n[x]\ny=1")
	f.Add("a.b.c = {d=[1,2")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := config.Load(write(t, text)); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
