package launch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/launch"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

const page = "https://console.example.com/portal/#/user/tokens"

// portal is a desktop portal that answers requests as it is told.
type portal struct {
	conn   *dbus.Conn
	answer uint32 // 99: never
	hang   chan struct{}
	refuse bool
	pages  chan string
}

func (p *portal) OpenURI(window, uri string, options map[string]dbus.Variant) (dbus.ObjectPath, *dbus.Error) {
	if p.hang != nil {
		<-p.hang
	}
	if p.refuse {
		return "", dbus.NewError("org.freedesktop.portal.Error.NotAllowed", []any{"not today"})
	}
	p.pages <- uri
	const request = dbus.ObjectPath("/org/freedesktop/portal/desktop/request/1_1/t")
	if p.answer != 99 {
		time.AfterFunc(10*time.Millisecond, func() {
			_ = p.conn.Emit(request, "org.freedesktop.portal.Request.Response", p.answer, map[string]dbus.Variant{})
		})
	}
	return request, nil
}

// start puts the portal on the bus.
func (p *portal) start(t *testing.T, b *bustest.Bus) {
	t.Helper()
	var err error
	if p.conn, err = dbus.Connect(b.Address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	p.pages = make(chan string, 5)
	if err := p.conn.Export(p, "/org/freedesktop/portal/desktop", "org.freedesktop.portal.OpenURI"); err != nil {
		t.Fatal(err)
	}
	if reply, err := p.conn.RequestName("org.freedesktop.portal.Desktop", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
}

// fakeXDGOpen puts an xdg-open in front of the real one. It leaves its
// arguments in the file that is returned, and exits with the status.
func fakeXDGOpen(t *testing.T, status string) (file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "opened")
	script := "#!/bin/sh\nprintf '%s|' \"$@\" >" + file + "\nexit " + status + "\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return file
}

func TestOpen(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for _, c := range []struct {
		name   string
		portal *portal // nil: there is none
		status string  // of xdg-open
		asked  bool    // the portal gets the page
		run    bool    // xdg-open gets it
		want   string  // in the error
	}{
		{"by the portal", &portal{}, "0", true, false, ""},
		{"dismissed", &portal{answer: 1}, "0", true, false, "the dialog was dismissed"},
		{"the portal fails", &portal{answer: 2}, "0", true, true, ""},
		{"the portal refuses", &portal{refuse: true}, "0", false, true, ""},
		{"the portal hangs", &portal{hang: hang}, "0", false, true, ""},
		{"a dialog stays open", &portal{answer: 99}, "0", true, false, ""},
		{"no portal", nil, "0", false, true, ""},
		{"no portal and no browser", nil, "3", false, true, "there is no browser, or no desktop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bustest.StartBus(t)
			b.Use(t)
			if c.portal != nil {
				c.portal.start(t, b)
			}
			file := fakeXDGOpen(t, c.status)
			begin := time.Now()
			err := launch.Hurry(launch.New(launch.Options{})).Open(t.Context(), page)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), page)):
				t.Errorf("got %v", err)
			}
			if (c.want == "the dialog was dismissed") != errors.Is(err, launch.ErrDismissed) {
				t.Errorf("errors.Is ErrDismissed: %v", err)
			}
			if d := time.Since(begin); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
			if c.asked {
				if got := <-c.portal.pages; got != page {
					t.Errorf("the portal got %s", got)
				}
			}
			opened, _ := os.ReadFile(file)
			if want := map[bool]string{true: page + "|"}[c.run]; string(opened) != want {
				t.Errorf("xdg-open got %q, want %q", opened, want)
			}
		})
	}
}

// T14: without a bus none is launched; without a browser the page is named.
func TestT14OpenWithoutAnything(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"dbus-launch", "dbus-daemon"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n: >"+dir+"/launched\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	for _, address := range []string{"", "autolaunch:", "unix:path=/nonexistent"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		err := launch.Hurry(launch.New(launch.Options{})).Open(t.Context(), page)
		if err == nil || !strings.Contains(err.Error(), "xdg-open was not found") || !strings.Contains(err.Error(), "open it yourself: "+page) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "launched")); err == nil {
		t.Error("a bus was launched")
	}
}

// A bus that never says a word costs no more than the time for the portal.
func TestOpenOnASilentBus(t *testing.T) {
	silent := silentSocket(t, "bus")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+silent)
	t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(silent))
	file := fakeXDGOpen(t, "0")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	begin := time.Now()
	if err := launch.Hurry(launch.New(launch.Options{})).Open(ctx, page); err != nil || time.Since(begin) > 8*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("xdg-open was not run")
	}
}

// As a service, the page is opened by a unit of its own. What xdg-open leaves
// running is the browser, and stays.
func TestOpenFromAService(t *testing.T) {
	m := boot(t, "eve")
	script := `#!/bin/sh
test "$1" = ` + page + ` || exit 3
cat /proc/self/cgroup >$HOME/cgroup
sleep 60 & echo $! >$HOME/browser
`
	m.c.Put(t, "/usr/local/bin/xdg-open", []byte(script), 0o755)
	if got := m.sandboxed(t, "", "opener", page); got != "<nil>" {
		t.Fatal(got)
	}
	if cgroup := m.Exec(t, "cat", "cgroup"); !strings.Contains(cgroup, "/csp-agent-") {
		t.Errorf("its control group: %s", cgroup)
	}
	m.Exec(t, "sh", "-c", "kill -0 $(cat browser) && kill $(cat browser)")
	if got := m.sandboxed(t, "", "opener", "https://example.com/"); !strings.Contains(got, "no browser could be opened (/usr/local/bin/xdg-open failed with exit status 3: there is no browser, or no desktop)") {
		t.Errorf("got %s", got)
	}
}
