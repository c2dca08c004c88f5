//go:build unix && !darwin

package notify_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/notify"
	"github.com/cspctl/cspctl/internal/notify/notifytest"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

const page = "https://console.example/csp/gateway/portal/#/user/tokens"

func warning(profile string, left time.Duration) ipc.Event {
	return ipc.Event{Type: ipc.EventWarning, Profile: profile, Summary: fmt.Sprintf("API token of %s expires in %d days", profile, left/day), TokenName: "ci <build> & deploy",
		ExpiresAt: time.Now().Add(left), RenewURL: page, RenewWith: "cspctl login " + profile}
}

const day = 24 * time.Hour

// clicks records what a person's clicks did.
type clicks struct{ opened, snoozed, ready chan string }

func newDesktop(t *testing.T) (*notify.Desktop, clicks) {
	t.Helper()
	c := clicks{make(chan string, 10), make(chan string, 10), make(chan string, 10)}
	d := notify.NewDesktop(notify.Options{
		Open:   func(_ context.Context, url string) error { c.opened <- url; return nil },
		Snooze: func(profile string) { c.snoozed <- profile },
		Ready:  func() { c.ready <- "ready" },
	})
	t.Cleanup(d.Close)
	return d, c
}

func announce(t *testing.T, d *notify.Desktop, w ipc.Event, last string) string {
	t.Helper()
	ref, err := d.Announce(t.Context(), w, last)
	if err != nil || ref == "" {
		t.Fatalf("ref %q, %v", ref, err)
	}
	return ref
}

func expect(t *testing.T, c <-chan string, want string) {
	t.Helper()
	select {
	case got := <-c:
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%q never came", want)
	}
}

func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s (Debian package %s)", program, debian)
	}
}

// P7: a real notification server shows it, and a person's clicks arrive.
func TestP7Dunst(t *testing.T) {
	need(t, "notify-send", "libnotify-bin")
	b := bustest.StartBus(t)
	b.Use(t)
	dunst := notifytest.StartDunst(t, b)
	d, c := newDesktop(t)

	ref := announce(t, d, warning("prod", 3*day), "")
	n := dunst.Await(t, 1)[0]
	if n.App != "cspctl" || n.Summary != "API token of prod expires in 3 days" || n.Urgency != "NORMAL" ||
		!strings.Contains(n.Body, `"ci &lt;build&gt; &amp; deploy"`) || !strings.HasSuffix(n.Body, "cspctl login prod") {
		t.Errorf("%+v", n)
	}
	pairs := []string{}
	for i := 0; i < len(n.Actions); i += 2 {
		pairs = append(pairs, n.Actions[i]+"="+n.Actions[i+1])
	}
	slices.Sort(pairs)
	if want := []string{"default=Renew", "renew=Renew", "snooze=Remind me tomorrow"}; !slices.Equal(pairs, want) {
		t.Errorf("actions %q, want %q", pairs, want)
	}

	// The next stage takes its place, also for an agent that has been restarted.
	d.Close()
	d, c = newDesktop(t)
	ref = announce(t, d, warning("prod", time.Hour), ref)
	notes := dunst.Await(t, 2)
	if got := notes[1]; got.ID != n.ID || got.Urgency != "CRITICAL" || got.Timeout != 0 || got.Icon != "dialog-error" {
		t.Errorf("%+v takes the place of %d", got, n.ID)
	}
	dunst.AwaitShown(t, 1)
	announce(t, d, warning("lab", 20*day), "")
	if got := dunst.Await(t, 3)[2]; got.Urgency != "LOW" || got.ID == n.ID {
		t.Errorf("%+v", got)
	}
	dunst.AwaitShown(t, 2)

	d.Withdraw(t.Context(), ref)
	dunst.AwaitShown(t, 1)

	// What is left is lab's.
	dunst.Run(t, "dunstctl", "action", "0")
	expect(t, c.opened, page)
	dunst.Choose(t, "Remind")
	expect(t, c.snoozed, "lab")

	// Ids begin anew with the server: the old ref replaces nothing.
	dunst.Kill()
	dunst.Restart(t)
	expect(t, c.ready, "ready")
	dunst.Run(t, "notify-send", "a stranger's") // gets the first id
	announce(t, d, warning("prod", time.Hour), ref)
	dunst.AwaitShown(t, 2)
	dunst.Choose(t, "#Renew")
	expect(t, c.opened, page)
	if len(c.opened)+len(c.snoozed) > 0 {
		t.Error("more clicks than were made")
	}
}

// P7: a mouse on the notification itself.
func TestP7DunstClick(t *testing.T) {
	need(t, "xdotool", "xdotool")
	b := bustest.StartBus(t)
	b.Use(t)
	dunst := notifytest.StartDunst(t, b)
	d, c := newDesktop(t)
	announce(t, d, warning("prod", time.Hour), "")
	dunst.AwaitShown(t, 1)
	dunst.Run(t, "xdotool", "search", "--sync", "--onlyvisible", "--class", "Dunst", "mousemove", "--window", "%1", "60", "30", "click", "1")
	expect(t, c.opened, page)
}

// The picture of the documentation, made where CSPCTL_PICTURE says.
func TestPicture(t *testing.T) {
	file := os.Getenv("CSPCTL_PICTURE")
	if file == "" {
		file = t.TempDir() + "/notification.png"
	}
	need(t, "import", "imagemagick")
	need(t, "xdotool", "xdotool")
	b := bustest.StartBus(t)
	b.Use(t)
	dunst := notifytest.StartDunst(t, b)
	d, _ := newDesktop(t)
	w := warning("prod", 3*day)
	w.TokenName = "ci-deploy"
	announce(t, d, w, "")
	dunst.AwaitShown(t, 1)
	dunst.Run(t, "xdotool", "search", "--sync", "--onlyvisible", "--class", "Dunst")
	screen := t.TempDir() + "/screen.png"
	dunst.Run(t, "import", "-window", "root", screen)
	dunst.Run(t, "convert", screen, "-trim", "+repage", "-strip", file)
	size := strings.Fields(dunst.Run(t, "identify", "-format", "%w %h %k", file))
	if len(size) != 3 || len(size[0]) < 3 || len(size[1]) < 2 || len(size[2]) < 2 {
		t.Errorf("width, height and colours of the picture: %q", size)
	}
}
