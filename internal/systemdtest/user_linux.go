package systemdtest

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// User is a user of the container who lingers: a service manager and a session
// bus of theirs run.
type User struct {
	c    *Container
	Name string
	UID  int
	Home string // inside
}

// User makes a user, and returns once the user's service manager runs.
func (c *Container) User(t testing.TB, name string) *User {
	t.Helper()
	c.Exec(t, "useradd", "--create-home", "--shell", "/bin/sh", name)
	uid, err := strconv.Atoi(strings.TrimSpace(c.Exec(t, "id", "-u", name)))
	if err != nil {
		t.Fatal(err)
	}
	c.Exec(t, "loginctl", "enable-linger", name)
	c.Exec(t, "systemctl", "start", "user@"+strconv.Itoa(uid)+".service")
	return &User{c, name, uid, "/home/" + name}
}

// RuntimeDir is the user's XDG_RUNTIME_DIR inside.
func (u *User) RuntimeDir() string { return "/run/user/" + strconv.Itoa(u.UID) }

// Command prepares a program that runs inside as the user, in their home, with
// what a login shell has in its environment.
func (u *User) Command(ctx context.Context, argv ...string) *exec.Cmd {
	env := []string{"runuser", "-u", u.Name, "--", "env", "-i", "-C", u.Home,
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "SHELL=/bin/sh",
		"HOME=" + u.Home, "USER=" + u.Name, "LOGNAME=" + u.Name,
		"XDG_RUNTIME_DIR=" + u.RuntimeDir(), "DBUS_SESSION_BUS_ADDRESS=unix:path=" + u.RuntimeDir() + "/bus"}
	return u.c.Command(ctx, append(env, argv...)...)
}

// Exec is Container.Exec as the user.
func (u *User) Exec(t testing.TB, argv ...string) string {
	t.Helper()
	return run(t, func(ctx context.Context) *exec.Cmd { return u.Command(ctx, argv...) })
}

// PutSelf puts the program of the running test inside, where every user can
// run it, and returns its path there.
func (c *Container) PutSelf(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	const path = "/usr/local/bin/test-program"
	c.Put(t, path, b, 0o755)
	return path
}
