// Package keychaintest plays a keychain for tests: a Secret Service that locks,
// prompts, hangs and vanishes on command.
package keychaintest

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// Answer is what the person at the machine does with a prompt.
type Answer int

const (
	Ignore  Answer = iota // never answers
	Dismiss               // closes the dialog
	Accept                // enters the password
)

// Service is a Secret Service
// (https://specifications.freedesktop.org/secret-service/) with one
// collection. Its methods may be called at any time.
type Service struct {
	conn *dbus.Conn
	done chan struct{} // closed with the service

	exporting sync.Mutex

	mu         sync.Mutex
	collection string // its name; empty: there is none
	locked     bool
	answer     Answer
	items      map[int]*item
	serial     int
	hooks      map[string]func()
	calls      map[string]int
	called     chan struct{} // closed and replaced at each call
	closeOnce  sync.Once
}

type item struct {
	attributes map[string]string
	value      string
	locked     bool
}

// The names of methods for On, Hang, Await and Calls. Properties have names
// like methods: reading the list of collections is a call of Collections.
const (
	OpenSession = "OpenSession"
	SearchItems = "SearchItems"
	Unlock      = "Unlock"
	ReadAlias   = "ReadAlias"
	Prompt      = "Prompt"
	CreateItem  = "CreateItem"
	GetSecret   = "GetSecret"
	Delete      = "Delete"
	Collections = "Collections"
	Locked      = "Locked"
)

// Start puts a Secret Service with an unlocked, empty collection called login
// on the bus.
func Start(t testing.TB, b *bustest.Bus) *Service {
	t.Helper()
	s := &Service{
		conn: b.Connect(t), done: make(chan struct{}), collection: "login",
		items: map[int]*item{}, hooks: map[string]func(){}, calls: map[string]int{}, called: make(chan struct{}),
	}
	t.Cleanup(s.Die)
	s.export(t)
	reply, err := s.conn.RequestName(busName, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", busName, reply, err)
	}
	return s
}

// SetLocked locks or unlocks the collection.
func (s *Service) SetLocked(locked bool) { s.set(func() { s.locked = locked }) }

// SetAnswer says what happens to prompts from now on.
func (s *Service) SetAnswer(a Answer) { s.set(func() { s.answer = a }) }

// SetCollection renames the collection; the alias default leads to it. An
// empty name: there is none.
func (s *Service) SetCollection(name string) { s.set(func() { s.collection = name }) }

// LockItems locks the items alone, as keychains do that grant access to each.
func (s *Service) LockItems() {
	s.set(func() {
		for _, it := range s.items {
			it.locked = true
		}
	})
}

// On calls f whenever the method is called, before it is done; nil ends that.
func (s *Service) On(method string, f func()) { s.set(func() { s.hooks[method] = f }) }

// Hang lets calls of the method wait until release is called; then they are
// done, as if they had just come.
func (s *Service) Hang(method string) (release func()) {
	gate := make(chan struct{})
	s.On(method, func() {
		select {
		case <-gate:
		case <-s.done:
		}
	})
	return sync.OnceFunc(func() {
		s.On(method, nil)
		close(gate)
	})
}

// HangNext lets the next call of the method wait until release is called, and
// no other.
func (s *Service) HangNext(method string) (release func()) {
	gate := make(chan struct{})
	s.On(method, func() {
		s.On(method, nil)
		select {
		case <-gate:
		case <-s.done:
		}
	})
	return sync.OnceFunc(func() { close(gate) })
}

// Die leaves the bus, also in the middle of a call.
func (s *Service) Die() {
	s.closeOnce.Do(func() {
		close(s.done)
		s.conn.Close()
	})
}

// Calls returns how often the method was called.
func (s *Service) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Await waits until the method was called n times in all.
func (s *Service) Await(t testing.TB, method string, n int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		count, called := s.calls[method], s.called
		s.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-called:
		case <-deadline:
			t.Fatalf("%s was called %d times, not %d", method, count, n)
		}
	}
}

// Values returns the secrets by their attribute username.
func (s *Service) Values() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[string]string{}
	for _, it := range s.items {
		m[it.attributes["username"]] = it.value
	}
	return m
}

// Add puts an item into the collection, as another program would.
func (s *Service) Add(t testing.TB, service, username, value string) {
	t.Helper()
	s.mu.Lock()
	id := s.put(map[string]string{"service": service, "username": username}, value)
	s.mu.Unlock()
	if err := s.exportItem(id); err != nil {
		t.Fatal(err)
	}
}

func (s *Service) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// put replaces the item of the same attributes. s.mu is held.
func (s *Service) put(attributes map[string]string, value string) int {
	for id, it := range s.items {
		if maps.Equal(it.attributes, attributes) {
			it.value = value
			return id
		}
	}
	s.serial++
	s.items[s.serial] = &item{attributes: attributes, value: value}
	return s.serial
}

// enter counts a call and runs its hook.
func (s *Service) enter(method string) {
	s.mu.Lock()
	s.calls[method]++
	close(s.called)
	s.called = make(chan struct{})
	hook := s.hooks[method]
	s.mu.Unlock()
	if hook != nil {
		hook()
	}
}

func (s *Service) nextPath(kind string) dbus.ObjectPath {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return dbus.ObjectPath(fmt.Sprintf("%s/%s/n%d", rootPath, kind, s.serial))
}
