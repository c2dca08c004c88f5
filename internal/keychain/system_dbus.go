//go:build unix && !darwin

package keychain

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/sessionbus"
)

// secretService is the Secret Service of freedesktop.org
// (https://specifications.freedesktop.org/secret-service/) on the session bus.
type secretService struct {
	name      string
	addresses []string // of the session bus, in the order to try

	mu      sync.Mutex
	address string     // the one that answered last
	shared  *dbus.Conn // the connection that go-keyring uses; it is process-wide
	joined  string     // its address
	prompts int        // dialogs seen on it
}

// maxPrompts on one connection: go-keyring leaves a signal handler behind for
// each. Closing it after every prompt would have keychains that grant access
// per connection (KeePassXC) ask each time.
const maxPrompts = 5

func newSystem(service string) system {
	return &secretService{name: service, addresses: sessionbus.Addresses(os.Getenv, os.Getuid())}
}

// probe implements system, over a connection of its own.
func (s *secretService) probe(ctx context.Context) provider.StoreState {
	conn, address, err := sessionbus.Dial(ctx, s.addresses)
	if err != nil {
		return busFailure(ctx, err).State
	}
	defer conn.Close()
	s.mu.Lock()
	s.address = address
	s.mu.Unlock()
	_, fail := findCollection(ctx, conn)
	if fail != nil {
		return fail.State
	}
	return provider.StoreState{Kind: provider.Keychain, Status: provider.StoreReady, Detail: "the keychain is unlocked"}
}

func (s *secretService) get(ctx context.Context, profile string, p provider.Prompt) (doc string, err error) {
	err = s.guard(ctx, profile, p, func() error {
		doc, err = keyring.Get(s.name, profile)
		return err
	})
	return doc, err
}

func (s *secretService) set(ctx context.Context, profile, doc string, p provider.Prompt) error {
	return s.guard(ctx, profile, p, func() error { return keyring.Set(s.name, profile, doc) })
}

func (s *secretService) remove(ctx context.Context, profile string, p provider.Prompt) error {
	return s.guard(ctx, profile, p, func() error { return keyring.Delete(s.name, profile) })
}

// guard runs one call of go-keyring, unless it would have to prompt and may
// not. It closes the shared connection after a failure, which is the only way
// to be rid of what go-keyring left on it.
func (s *secretService) guard(ctx context.Context, profile string, p provider.Prompt, call func() error) error {
	conn, err := s.join()
	if err != nil {
		return err
	}
	done := false // stays false in a panic
	defer func() {
		if !done {
			conn.Close()
		}
	}()
	wouldPrompt, err := s.wouldPrompt(ctx, conn, profile)
	if err != nil {
		return err
	}
	if wouldPrompt && p == provider.NoPrompt {
		done = true
		return errLocked
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = call()
	done = err == nil || errors.Is(err, keyring.ErrNotFound)
	if wouldPrompt {
		s.prompts++
		done = done && s.prompts < maxPrompts
	}
	return err
}

// join returns go-keyring's connection, which is godbus's shared one, made if
// there is none.
func (s *secretService) join() (*dbus.Conn, error) {
	s.mu.Lock()
	address, shared, joined := s.address, s.shared, s.joined
	s.mu.Unlock()
	if address == "" {
		return nil, sessionbus.ErrNone
	}
	// With an address in the environment godbus launches no daemon (T14).
	if os.Getenv(sessionbus.AddressEnv) != address {
		if err := os.Setenv(sessionbus.AddressEnv, address); err != nil {
			return nil, err
		}
	}
	if shared != nil && joined != address {
		shared.Close()
	}
	conn, err := dbus.SessionBus()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared != conn {
		s.prompts = 0
	}
	s.shared, s.joined = conn, address
	return conn, nil
}

// wouldPrompt reports whether the collection, or the profile's item in it, is
// locked. It asks over the shared connection, since some keychains (KeePassXC)
// unlock items per connection.
func (s *secretService) wouldPrompt(ctx context.Context, conn *dbus.Conn, profile string) (bool, error) {
	if _, fail := findCollection(ctx, conn); fail != nil {
		if fail.State.Status == provider.StoreLocked {
			return true, nil
		}
		return false, fail
	}
	var unlocked, locked []dbus.ObjectPath
	err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, secretsService+".SearchItems", dbus.FlagNoAutoStart,
		map[string]string{"service": s.name, "username": profile}).Store(&unlocked, &locked)
	return len(locked) > 0 && len(unlocked) == 0, err
}

func (s *secretService) interrupt() {
	s.mu.Lock()
	conn := s.shared
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

func (s *secretService) close() { s.interrupt() }

func (s *secretService) explain(err error) *provider.StoreError {
	if e, ok := errors.AsType[*provider.StoreError](err); ok {
		return e
	}
	return nil
}

const (
	secretsName       = "org.freedesktop.secrets"
	secretsPath       = "/org/freedesktop/secrets"
	secretsService    = "org.freedesktop.Secret.Service"
	secretsCollection = "org.freedesktop.Secret.Collection"
	propertiesGet     = "org.freedesktop.DBus.Properties.Get"
	noObject          = dbus.ObjectPath("/") // how the specification says none
)

// findCollection finds the collection that go-keyring will use: the one called
// login, else the default one. It fails if there is none, or if it is locked.
// It may have the bus start an installed keychain, but never prompts.
func findCollection(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, *provider.StoreError) {
	const kind = provider.Keychain
	fail := func(cause error) *provider.StoreError {
		return unavailable(kind, "the keychain does not answer", "restart it, or log out and in again", cause)
	}
	if e := findService(ctx, conn); e != nil {
		return "", e
	}
	service := conn.Object(secretsName, secretsPath)
	var collections []dbus.ObjectPath
	var v dbus.Variant
	err := service.CallWithContext(ctx, propertiesGet, dbus.FlagNoAutoStart, secretsService, "Collections").Store(&v)
	if err == nil {
		err = v.Store(&collections)
	}
	if err != nil {
		return "", fail(err)
	}
	path := dbus.ObjectPath(secretsPath + "/collection/login")
	if !slices.Contains(collections, path) {
		if err := service.CallWithContext(ctx, secretsService+".ReadAlias", dbus.FlagNoAutoStart, "default").Store(&path); err != nil {
			return "", fail(err)
		}
		if path == noObject {
			return "", unavailable(kind, "the keychain has no default collection to keep secrets in",
				"make one, for example in the program Passwords and Keys (seahorse)", nil)
		}
	}
	var isLocked bool
	err = conn.Object(secretsName, path).CallWithContext(ctx, propertiesGet, dbus.FlagNoAutoStart, secretsCollection, "Locked").Store(&v)
	if err == nil {
		err = v.Store(&isLocked)
	}
	if err != nil {
		return "", fail(err)
	}
	if isLocked {
		return path, locked(kind, "the keychain is locked", lockedHint, nil)
	}
	return path, nil
}

// findService looks for a keychain on the bus: running, or installed so that
// the bus can start it.
func findService(ctx context.Context, conn *dbus.Conn) *provider.StoreError {
	const kind = provider.Keychain
	bus := conn.BusObject()
	var running bool
	if err := bus.CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&running); err != nil {
		return busFailure(ctx, err)
	}
	if running {
		return nil
	}
	var names []string
	if err := bus.CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&names); err != nil {
		return busFailure(ctx, err)
	}
	if !slices.Contains(names, secretsName) {
		return unavailable(kind, "no keychain runs on the session bus",
			"start one (gnome-keyring, KWallet, KeePassXC)", nil)
	}
	if err := bus.CallWithContext(ctx, "org.freedesktop.DBus.StartServiceByName", 0, secretsName, uint32(0)).Err; err != nil {
		return unavailable(kind, "the keychain is installed, but does not start",
			"see its own log (journalctl --user)", err)
	}
	return nil
}

// busFailure says what is wrong with the session bus.
func busFailure(ctx context.Context, err error) *provider.StoreError {
	const kind = provider.Keychain
	const hint = "log in to a desktop or enable the user's D-Bus (Debian package dbus-user-session)"
	switch {
	case ctx.Err() != nil:
		return unavailable(kind, "the session bus does not answer in time", "log out and in again", ctx.Err())
	case errors.Is(err, sessionbus.ErrNone):
		return unavailable(kind, "there is no session bus, and so no keychain", hint, err)
	}
	return unavailable(kind, "the session bus can't be reached", hint, err)
}
