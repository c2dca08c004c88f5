package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// denied is what cspctl must not link, and why. What is linked costs time at
// each start, whether it runs or not.
var denied = map[string]string{
	"net/http":      "more than doubles the time of a start",
	"net/textproto": "the client of the socket reads HTTP by itself",
	"crypto/tls":    "only csp-agent talks to servers",
	"crypto/sha256": "the hashes of the standard library come with a dozen packages to start",
	"crypto/x509":   "only csp-agent talks to servers",
	"os/user":       "brings cgo and the name services",
	"text/template": "keeps the linker from dropping unused methods",
	"html/template": "keeps the linker from dropping unused methods",
	"regexp":        "compiles at start-up",
	"os/signal":     "its goroutine; terminals are read with signals off",

	"github.com/godbus/dbus":        "the keychain is csp-agent's",
	"github.com/zalando/go-keyring": "the keychain is csp-agent's",
	"github.com/danieljoos/wincred": "the keychain is csp-agent's",
	"filippo.io/age":                "the file store is csp-agent's",
	"filippo.io/hpke":               "the file store is csp-agent's",
	"github.com/kardianos/service":  "the service is csp-agent's",
	"github.com/BurntSushi/toml":    "the settings are csp-agent's",
	"github.com/adrg/xdg":           "looks for all directories at start-up",
	"github.com/go-jose":            "tokens are read by csp-agent",
	"github.com/spf13/cobra":        "a fifth of an empty program's time; cli.go does what is needed",
	"github.com/spf13/pflag":        "see cobra",
	"github.com/coreos/go-systemd":  "sockets are opened by csp-agent",
	"github.com/prometheus":         "metrics are csp-agent's",

	"github.com/cspctl/cspctl/internal/agent":    "cspctl asks, it does not do",
	"github.com/cspctl/cspctl/internal/config":   "the settings are csp-agent's",
	"github.com/cspctl/cspctl/internal/csp":      "only csp-agent talks to servers",
	"github.com/cspctl/cspctl/internal/vcd":      "only csp-agent talks to servers",
	"github.com/cspctl/cspctl/internal/keychain": "only csp-agent touches stored secrets",
	"github.com/cspctl/cspctl/internal/provider": "cspctl knows the wire alone",
	"github.com/cspctl/cspctl/internal/sim":      "never in the product",
}

func TestWhatIsLinked(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", goos, err)
		}
		deps := strings.Fields(string(out))
		if len(deps) < 30 {
			t.Fatalf("%s: only %d packages: %s", goos, len(deps), out)
		}
		for _, dep := range deps {
			for path, why := range denied {
				if dep == path || strings.HasPrefix(dep, path+"/") {
					t.Errorf("%s links %s: %s", goos, dep, why)
				}
			}
			// Windows has no socket without it: named pipes are net.Conns.
			if dep == "net" && goos != "windows" {
				t.Errorf("%s links net: it costs an eighth of an empty program's time", goos)
			}
		}
	}
}

// The size is most of what a start costs: pages are read as they are touched.
func TestSizeOfTheReleasedBinary(t *testing.T) {
	const most = 4 << 20
	out := filepath.Join(t.TempDir(), "cspctl")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("%d bytes, and %d are the most", info.Size(), most)
	}
}
