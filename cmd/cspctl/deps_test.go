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
//
// These are of the standard library; of the rest, only what is allowed goes in.
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
	"os/exec":       "a sixteenth of the binary; the start of the agent has a way of its own",
}

// allowed is all that cspctl links besides the standard library, and why.
var allowed = map[string]string{
	"github.com/cspctl/cspctl/cmd/cspctl":          "itself",
	"github.com/cspctl/cspctl/internal/atomicfile": "files that other programs read; links nothing that is not linked anyway",
	"github.com/cspctl/cspctl/internal/ipc":        "the wire",
	"github.com/cspctl/cspctl/internal/provider":   "the details document, which the wire passes on",
	"github.com/cspctl/cspctl/internal/secret":     "texts that do not print themselves",
	"github.com/cspctl/cspctl/internal/term":       "prompts and tables",
	"golang.org/x/sys/unix":                        "sockets and terminals",
	"golang.org/x/sys/windows":                     "pipes and terminals",
	"golang.org/x/sys/internal/unsafeheader":       "of x/sys",
	"golang.org/x/sys/plan9":                       "of x/term",
	"golang.org/x/term":                            "prompts without echo",
	"golang.org/x/text/width":                      "which characters take two columns",
	"golang.org/x/text/transform":                  "of x/text/width",
	"github.com/Microsoft/go-winio":                "the pipe, on Windows alone",
}

// isStandard reports whether a package is of the standard library, whose paths
// have no dot in their first element.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
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
			winio := strings.HasPrefix(dep, "github.com/Microsoft/go-winio/") && goos == "windows"
			if !isStandard(dep) && allowed[dep] == "" && !winio {
				t.Errorf("%s links %s, which is not among what cspctl may link", goos, dep)
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
