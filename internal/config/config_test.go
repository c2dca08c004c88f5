package config_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/config"
)

func write(t testing.TB, text string) string {
	if runtime.GOOS == "windows" { // where /bin/true is not absolute
		text = strings.ReplaceAll(text, `command = ["/`, `command = ["C:/`)
	}
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
		{"no such event", "[hook]\ncommand = [\"/bin/true\"]\nevents = [\"wedding\"]\n", 3},
		{"relative hook", "[hook]\ncommand = [\"true\"]\n", 2},
		{"hook without a command", "\n[hook]\ntimeout = \"5s\"\n", 2},
		{"hook's time without a unit", "[hook]\ncommand = [\"/bin/true\"]\ntimeout = 30\n", 0},
		{"hook's time too long", "[hook]\ncommand = [\"/bin/true\"]\ntimeout = \"1d\"\n", 3},
		{"stages in words", "[expiry]\nstages = [\"30d\",\n \"soon\"]\n", 3},
		{"a stage twice", "[profiles.ci.expiry]\nstages = [\"1d\", \"24h\"]\n", 2},
		{"a name no profile has", "[profiles.\"a b\".expiry]\ndesktop = false\n", 1},
		{"no such role", "[[sockets]]\npath = \"/run/x\"\nrole = \"king\"\n", 3},
		{"a mode in decimal", "[[sockets]]\npath = \"/run/x\"\nrole = \"observe\"\nuids = [1]\nmode = 660\n", 0},
		{"a socket for nobody", "[[sockets]]\npath = \"/run/x\"\nrole = \"observe\"\n", 1},
		{"twice", "store = \"file\"\nstore = \"file\"\n", 2},
	} {
		_, err := config.Load(write(t, c.text))
		e, ok := errors.AsType[*config.Error](err)
		if !ok || e.Line != c.line { // go-toml knows no line for a number where a text belongs
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

func TestWarningsAreSetForAllAndForOneProfile(t *testing.T) {
	s, err := config.Load(write(t, `
[expiry]
stages = ["12h", "10d"]

[profiles.ci.expiry]
stages = ["2d"]
desktop = false

[hook]
command = ["/usr/local/bin/page", "ops"]
`))
	if err != nil {
		t.Fatal(err)
	}
	for profile, want := range map[string]string{"prod": "10d 12h expired true", "ci": "2d expired false"} {
		if got := fmt.Sprintln(strings.Join(s.Stages(profile).Names(), " "), s.Desktop(profile)); got != want+"\n" {
			t.Errorf("%s: got %s, want %s", profile, got, want)
		}
	}
	if got := strings.Join(config.Settings{}.Stages("prod").Names(), " "); got != "30d 14d 7d 3d 1d 1h expired" || !(config.Settings{}).Desktop("prod") {
		t.Errorf("without settings: %s", got)
	}
	if s.Hook.Timeout.Duration != 30*time.Second || len(s.Hook.Events) != 2 {
		t.Errorf("%+v", s.Hook)
	}
}

// The settings that the README shows are settings.
func TestSettingsOfTheREADME(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths are of other systems")
	}
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(b), "```toml\n")
	block, _, _ = strings.Cut(block, "```")
	s, err := config.Load(write(t, block))
	if err != nil || len(s.Hook.Command) != 2 || s.Desktop("ci") || strings.Join(s.Stages("ci").Names(), " ") != "60d 30d expired" {
		t.Errorf("%+v, %v", s, err)
	}
}
