// Package notifytest plays a desktop for tests: a notification server that
// hangs, vanishes and lies on command, and a real dunst.
package notifytest

import (
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

const (
	// Name of the notification server on the bus, and its interface.
	Name = "org.freedesktop.Notifications"
	// Path of its object.
	Path = "/org/freedesktop/Notifications"
)

// Note is a notification as the server was given it.
type Note struct {
	ID, Replaces             uint32
	App, Icon, Summary, Body string
	Actions                  []string
	Urgency                  string // LOW, NORMAL or CRITICAL
	Timeout                  int32  // milliseconds; 0 never, -1 the server's
	Category, DesktopEntry   string
}

// Server is a notification server
// (https://specifications.freedesktop.org/notification-spec/). Its methods may
// be called at any time.
type Server struct {
	conn *dbus.Conn
	done chan struct{}
	die  func()

	mu     sync.Mutex
	caps   []string
	hooks  map[string]func()
	calls  map[string]int
	notes  []Note
	closed []uint32
	id     uint32
	change chan struct{} // closed and replaced at each call
}

// Start puts a server on the bus that can do this much; ids begin with 1.
func Start(t testing.TB, b *bustest.Bus, capabilities ...string) *Server {
	t.Helper()
	conn, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{conn: conn, done: make(chan struct{}), caps: capabilities,
		hooks: map[string]func(){}, calls: map[string]int{}, change: make(chan struct{})}
	s.die = sync.OnceFunc(func() { close(s.done); conn.Close() })
	t.Cleanup(s.die)
	err = conn.ExportMethodTable(map[string]any{
		"Notify": s.notify, "CloseNotification": s.closeNotification, "GetCapabilities": s.getCapabilities,
	}, Path, Name)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := conn.RequestName(Name, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", Name, reply, err)
	}
	return s
}

// Die leaves the bus, also in the middle of a call.
func (s *Server) Die() { s.die() }

// On calls f at each call of a method, before it is done; nil ends that.
func (s *Server) On(method string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[method] = f
}

// Hang lets calls of a method wait until the server dies.
func (s *Server) Hang(method string) { s.On(method, func() { <-s.done }) }

// Calls returns how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Notes returns all that was to be shown, in order.
func (s *Server) Notes() []Note {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Note(nil), s.notes...)
}

// Closed returns the ids that a program closed.
func (s *Server) Closed() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint32(nil), s.closed...)
}

// Await waits until a method was called n times in all.
func (s *Server) Await(t testing.TB, method string, n int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		count, change := s.calls[method], s.change
		s.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-change:
		case <-deadline:
			t.Fatalf("%s was called %d times, not %d", method, count, n)
		}
	}
}

// Emit sends a signal of the server's interface to all, of any shape.
func (s *Server) Emit(t testing.TB, signal string, values ...any) {
	t.Helper()
	Emit(t, s.conn, signal, values...)
}

// Emit is Server.Emit from another connection: a stranger's.
func Emit(t testing.TB, conn *dbus.Conn, signal string, values ...any) {
	t.Helper()
	if err := conn.Emit(Path, Name+"."+signal, values...); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) enter(method string) {
	s.mu.Lock()
	s.calls[method]++
	close(s.change)
	s.change = make(chan struct{})
	hook := s.hooks[method]
	s.mu.Unlock()
	if hook != nil {
		hook()
	}
}

func (s *Server) getCapabilities() ([]string, *dbus.Error) {
	s.enter("GetCapabilities")
	return s.caps, nil
}

func (s *Server) closeNotification(id uint32) *dbus.Error {
	s.mu.Lock()
	s.closed = append(s.closed, id)
	s.mu.Unlock()
	s.enter("CloseNotification")
	return nil
}

func (s *Server) notify(app string, replaces uint32, icon, summary, body string, actions []string,
	hints map[string]dbus.Variant, timeout int32) (uint32, *dbus.Error) {
	n := Note{Replaces: replaces, App: app, Icon: icon, Summary: summary, Body: body, Actions: actions, Timeout: timeout}
	if u, ok := hints["urgency"].Value().(byte); ok && u < 3 {
		n.Urgency = [...]string{"LOW", "NORMAL", "CRITICAL"}[u]
	}
	n.Category, _ = hints["category"].Value().(string)
	n.DesktopEntry, _ = hints["desktop-entry"].Value().(string)
	s.mu.Lock()
	if n.ID = replaces; n.ID == 0 {
		s.id++
		n.ID = s.id
	}
	s.notes = append(s.notes, n)
	s.mu.Unlock()
	s.enter("Notify")
	return n.ID, nil
}
