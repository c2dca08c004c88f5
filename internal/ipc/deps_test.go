package ipc_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The client is linked into a program that must start in the time of an empty
// one, so what it links is limited. On Windows named pipes need package net.
func TestDependenciesStaySmall(t *testing.T) {
	never := []string{
		"net", "net/http", "net/url", "net/textproto", "net/netip", "os/exec", "os/user", "os/signal",
		"text/template", "html/template", "regexp", "flag", "crypto/tls", "crypto/x509", "math/big", "encoding/gob",
		"github.com/adrg/xdg", "github.com/godbus/dbus/v5", "github.com/kardianos/service", "github.com/zalando/go-keyring",
	}
	for _, goos := range []string{"linux", "darwin"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Standard", ".")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
			var p struct {
				ImportPath string
				Imports    []string
				Standard   bool
			}
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(never, p.ImportPath) {
				t.Errorf("%s: links %s", goos, p.ImportPath)
			}
			// package secret hashes and logs; nothing else of ours may.
			if p.Standard || strings.HasSuffix(p.ImportPath, "/internal/secret") {
				continue
			}
			for _, imp := range p.Imports {
				if imp == "context" || imp == "crypto" || strings.HasPrefix(imp, "crypto/") {
					t.Errorf("%s: %s imports %s", goos, p.ImportPath, imp)
				}
			}
		}
		if seen < 10 {
			t.Errorf("%s: only %d packages listed", goos, seen)
		}
	}
}
