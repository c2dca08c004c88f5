package notifytest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// dunstConfig shows what we want to see, and has a menu program that picks the
// action named in the file choice. %s is the folder.
const dunstConfig = `[global]
font = DejaVu Sans 12
width = 540
height = 200
origin = top-right
offset = 20x20
padding = 14
horizontal_padding = 16
text_icon_padding = 14
frame_width = 1
frame_color = "#5a6270"
corner_radius = 8
line_height = 4
markup = full
format = "<b>%%s</b>\n%%b"
icon_position = left
enable_recursive_icon_lookup = true
icon_theme = Adwaita
min_icon_size = 48
max_icon_size = 48
idle_threshold = 0
show_age_threshold = -1
dmenu = %[1]s/menu
mouse_left_click = do_action
mouse_right_click = close_current
[urgency_low]
background = "#23272e"
foreground = "#e6e6e6"
timeout = 0
[urgency_normal]
background = "#23272e"
foreground = "#e6e6e6"
timeout = 0
[urgency_critical]
background = "#23272e"
foreground = "#ffffff"
frame_color = "#d64545"
timeout = 0
`

// Dunst is a real dunst on a screen that nobody sees.
type Dunst struct {
	Display string // as in DISPLAY

	bus  *bustest.Bus
	dir  string
	kill func()

	mu     sync.Mutex
	out    bytes.Buffer // what -print wrote
	change chan struct{}
}

// StartDunst starts Xvfb and dunst on a bus. It skips the test where one of
// them is not installed.
func StartDunst(t testing.TB, b *bustest.Bus) *Dunst {
	t.Helper()
	for _, p := range [][2]string{{"dunst", "dunst"}, {"dunstctl", "dunst"}, {"Xvfb", "xvfb"}, {"busctl", "systemd"}} {
		if _, err := exec.LookPath(p[0]); err != nil {
			t.Skipf("needs %s (Debian package %s)", p[0], p[1])
		}
	}
	d := &Dunst{bus: b, dir: t.TempDir(), change: make(chan struct{})}
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("dunstrc", fmt.Sprintf(dunstConfig, d.dir), 0o600)
	write("menu", "#!/bin/sh\ngrep -m1 -F -f "+d.dir+"/choice\n", 0o700)
	d.startX(t)
	d.Restart(t)
	return d
}

// startX starts Xvfb on a display that is free.
func (d *Dunst) startX(t testing.TB) {
	t.Helper()
	var err error
	if d.Display, err = Screen("600x240x24", func(cmd *exec.Cmd) { bustest.Run(t, cmd) }); err != nil {
		t.Fatal(err)
	}
}

// Screen lets start start Xvfb with a screen of that size, on a display that is
// free, and returns the display as in DISPLAY.
func Screen(size string, start func(*exec.Cmd)) (display string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", size, "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	start(cmd)
	_ = w.Close()
	_ = r.SetReadDeadline(time.Now().Add(20 * time.Second))
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("Xvfb: %w", err)
	}
	return ":" + strings.TrimSpace(number), nil
}

// Kill ends dunst at once.
func (d *Dunst) Kill() { d.kill() }

// Restart starts dunst again, after a Kill.
func (d *Dunst) Restart(t testing.TB) {
	t.Helper()
	cmd := exec.Command("dunst", "-conf", filepath.Join(d.dir, "dunstrc"), "-print")
	cmd.Env = d.env()
	cmd.Stdout = d
	d.kill = bustest.Run(t, cmd)
	d.bus.AwaitName(t, Name)
}

// Run runs a program on dunst's screen and bus, and returns its output.
func (d *Dunst) Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = d.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
	return string(out)
}

// Choose opens the menu of actions and takes the one of this label.
func (d *Dunst) Choose(t testing.TB, label string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "choice"), []byte(label+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Run(t, "dunstctl", "context")
}

// AwaitShown waits until n notifications are on the screen.
func (d *Dunst) AwaitShown(t testing.TB, n int) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = strings.TrimSpace(d.Run(t, "dunstctl", "count", "displayed")); got == strconv.Itoa(n) {
			return
		}
	}
	t.Fatalf("%s notifications are shown, not %d", got, n)
}

// Await waits until dunst was given n notifications in all, and returns them.
func (d *Dunst) Await(t testing.TB, n int) []Note {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		d.mu.Lock()
		notes, change := parse(d.out.String()), d.change
		d.mu.Unlock()
		if len(notes) >= n {
			return notes
		}
		select {
		case <-change:
		case <-deadline:
			t.Fatalf("dunst was given %d notifications, not %d", len(notes), n)
		}
	}
}

// Write implements io.Writer for dunst's output.
func (d *Dunst) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.change)
	d.change = make(chan struct{})
	return d.out.Write(b)
}

var _ io.Writer = (*Dunst)(nil)

func (d *Dunst) env() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "XDG_RUNTIME_DIR=" + d.bus.Dir, "DISPLAY=" + d.Display,
		"DBUS_SESSION_BUS_ADDRESS=" + d.bus.Address}
}

// printed is what dunst -print writes of one notification.
var printed = regexp.MustCompile(`(?s)\{\n\tappname: '(.*?)'\n\tsummary: '(.*?)'\n\tbody: '(.*?)'\n\ticon: '(.*?)'\n` +
	`.*?\n\tcategory: (.*?)\n\ttimeout: (\d+)\n\turgency: (\w+)\n.*?\n\tid: (\d+)\n\tactions: \{(.*?)\}\n\tscript_count`)

var action = regexp.MustCompile(`"(.*?)": "(.*?)"`)

func parse(out string) (notes []Note) {
	for _, m := range printed.FindAllStringSubmatch(out, -1) {
		id, _ := strconv.ParseUint(m[8], 10, 32)
		timeout, _ := strconv.ParseInt(m[6], 10, 32)
		n := Note{App: m[1], Summary: m[2], Body: m[3], Icon: m[4], Category: m[5], Timeout: int32(timeout), Urgency: m[7], ID: uint32(id)}
		for _, a := range action.FindAllStringSubmatch(m[9], -1) {
			n.Actions = append(n.Actions, a[1], a[2])
		}
		notes = append(notes, n)
	}
	return notes
}
