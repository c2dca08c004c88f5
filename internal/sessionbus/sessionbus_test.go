//go:build unix && !darwin

package sessionbus_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/sessionbus"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		name, env, runtime string
		want               []string
	}{
		{"neither is set", "", "", []string{"unix:path=/run/user/7/bus"}},
		{"the environment first", "unix:path=/x;tcp:host=h,port=1", "/r", []string{"unix:path=/x", "tcp:host=h,port=1", "unix:path=/r/bus"}},
		{"T14: none that launches", "autolaunch:;autolaunch:scope=*user", "/r", []string{"unix:path=/r/bus"}},
		{"the same twice", "unix:path=/r/bus", "/r", []string{"unix:path=/r/bus"}},
		{"a folder with a comma", "", "/a,b", []string{"unix:path=/a%2cb/bus"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{sessionbus.AddressEnv: c.env, "XDG_RUNTIME_DIR": c.runtime}
			if got := sessionbus.Addresses(func(k string) string { return env[k] }, 7); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestDial(t *testing.T) {
	b := bustest.StartBus(t)
	file := filepath.Join(t.TempDir(), "bus")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	conn, address, err := sessionbus.Dial(t.Context(), []string{"unix:path=/nowhere", "unix:path=" + file, b.Address})
	if err != nil || address != b.Address {
		t.Fatalf("%q, %v", address, err)
	}
	conn.Close()
	if _, _, err := sessionbus.Dial(t.Context(), []string{"unix:path=" + file}); !errors.Is(err, sessionbus.ErrNone) {
		t.Errorf("a file that is no socket: %v", err)
	}
}

// A socket of another user's could be anybody's.
func TestDialForeignSocket(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to give a socket away")
	}
	b := bustest.StartBus(t)
	socket, _ := strings.CutPrefix(b.Address, "unix:path=")
	if err := os.Chown(socket, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sessionbus.Dial(t.Context(), []string{b.Address}); !errors.Is(err, sessionbus.ErrNone) {
		t.Errorf("dialled: %v", err)
	}
}

// A bus that never says a word keeps nobody longer than ctx.
func TestDialSilentBus(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, _, err := sessionbus.Dial(ctx, []string{"unix:path=" + l.Addr().String()}); err == nil {
		t.Error("dialled")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}
