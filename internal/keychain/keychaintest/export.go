package keychaintest

import (
	"fmt"
	"testing"

	"github.com/godbus/dbus/v5"
)

const (
	busName   = "org.freedesktop.secrets"
	rootPath  = "/org/freedesktop/secrets"
	aliasPath = rootPath + "/aliases/default"
	none      = dbus.ObjectPath("/")

	serviceIface    = "org.freedesktop.Secret.Service"
	collectionIface = "org.freedesktop.Secret.Collection"
	itemIface       = "org.freedesktop.Secret.Item"
	sessionIface    = "org.freedesktop.Secret.Session"
	promptIface     = "org.freedesktop.Secret.Prompt"
	propertiesIface = "org.freedesktop.DBus.Properties"
)

// wireSecret is the structure Secret of the specification, (oayays).
type wireSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

type methods = map[string]any

func (s *Service) export(t testing.TB) {
	t.Helper()
	for _, e := range []struct {
		path  dbus.ObjectPath
		iface string
		table methods
	}{
		{rootPath, serviceIface, methods{
			OpenSession: s.openSession, SearchItems: s.searchService, Unlock: s.unlock, ReadAlias: s.readAlias}},
		{rootPath, propertiesIface, methods{"Get": s.serviceProperty}},
	} {
		if err := s.exportTable(e.table, e.path, e.iface); err != nil {
			t.Fatal(err)
		}
	}
	// The collection answers at any name, so that it can be renamed; whether it
	// is there is checked at each call.
	for _, path := range []dbus.ObjectPath{rootPath + "/collection", aliasPath} {
		for iface, table := range map[string]methods{
			collectionIface: {SearchItems: s.searchCollection, CreateItem: s.createItem},
			propertiesIface: {"Get": s.collectionProperty},
		} {
			if err := s.conn.ExportSubtreeMethodTable(table, path, iface); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// exportTable keeps exports apart: godbus looks at its objects without a lock
// when it adds one.
func (s *Service) exportTable(table methods, path dbus.ObjectPath, iface string) error {
	s.exporting.Lock()
	defer s.exporting.Unlock()
	return s.conn.ExportMethodTable(table, path, iface)
}

func (s *Service) collectionPath() dbus.ObjectPath {
	if s.collection == "" {
		return none
	}
	return dbus.ObjectPath(rootPath + "/collection/" + s.collection)
}

func (s *Service) itemPath(id int) dbus.ObjectPath {
	return dbus.ObjectPath(fmt.Sprintf("%s/item/n%d", rootPath, id))
}

var errNoObject = dbus.NewError("org.freedesktop.Secret.Error.NoSuchObject", []any{"no such object"})

func (s *Service) serviceProperty(_, name string) (dbus.Variant, *dbus.Error) {
	s.enter(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	paths := []dbus.ObjectPath{}
	if s.collection != "" {
		paths = append(paths, s.collectionPath())
	}
	return dbus.MakeVariant(paths), nil
}

func (s *Service) collectionProperty(_, name string) (dbus.Variant, *dbus.Error) {
	s.enter(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.collection == "" {
		return dbus.Variant{}, errNoObject
	}
	return dbus.MakeVariant(s.locked), nil
}

func (s *Service) readAlias(string) (dbus.ObjectPath, *dbus.Error) {
	s.enter(ReadAlias)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.collectionPath(), nil
}

func (s *Service) openSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	s.enter(OpenSession)
	path := s.nextPath("session")
	err := s.exportTable(methods{"Close": func() *dbus.Error { return nil }}, path, sessionIface)
	if err != nil {
		return dbus.Variant{}, none, dbus.MakeFailedError(err)
	}
	return dbus.MakeVariant(""), path, nil
}

// search returns the items that match, s.mu is held.
func (s *Service) search(attributes map[string]string) (unlocked, locked []dbus.ObjectPath) {
	unlocked, locked = []dbus.ObjectPath{}, []dbus.ObjectPath{}
next:
	for id, it := range s.items {
		for k, v := range attributes {
			if it.attributes[k] != v {
				continue next
			}
		}
		if s.locked || it.locked {
			locked = append(locked, s.itemPath(id))
		} else {
			unlocked = append(unlocked, s.itemPath(id))
		}
	}
	return unlocked, locked
}

func (s *Service) searchService(attributes map[string]string) (unlocked, locked []dbus.ObjectPath, e *dbus.Error) {
	s.enter(SearchItems)
	s.mu.Lock()
	defer s.mu.Unlock()
	unlocked, locked = s.search(attributes)
	return unlocked, locked, nil
}

func (s *Service) searchCollection(attributes map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	s.enter(SearchItems)
	s.mu.Lock()
	defer s.mu.Unlock()
	unlocked, locked := s.search(attributes)
	return append(unlocked, locked...), nil
}

// unlock unlocks what is not locked, and prompts for the rest.
func (s *Service) unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	s.enter(Unlock)
	s.mu.Lock()
	free := !s.locked
	for id, it := range s.items {
		for _, p := range paths {
			free = free && (p != s.itemPath(id) || !it.locked)
		}
	}
	noCollection := s.collection == ""
	s.mu.Unlock()
	switch {
	case noCollection:
		return []dbus.ObjectPath{}, none, nil
	case free:
		return paths, none, nil
	}
	prompt := s.nextPath("prompt")
	err := s.exportTable(methods{Prompt: func(string) *dbus.Error { return s.prompt(prompt, paths) }}, prompt, promptIface)
	if err != nil {
		return nil, none, dbus.MakeFailedError(err)
	}
	return []dbus.ObjectPath{}, prompt, nil
}

func (s *Service) prompt(path dbus.ObjectPath, paths []dbus.ObjectPath) *dbus.Error {
	s.enter(Prompt)
	s.mu.Lock()
	answer := s.answer
	if answer == Accept {
		s.locked = false
		for _, it := range s.items {
			it.locked = false
		}
	}
	s.mu.Unlock()
	if answer == Ignore {
		return nil
	}
	if answer == Dismiss {
		paths = []dbus.ObjectPath{}
	}
	if err := s.conn.Emit(path, promptIface+".Completed", answer == Dismiss, dbus.MakeVariant(paths)); err != nil {
		return dbus.MakeFailedError(err)
	}
	return nil
}

func (s *Service) createItem(properties map[string]dbus.Variant, secret wireSecret, _ bool) (path, prompt dbus.ObjectPath, e *dbus.Error) {
	s.enter(CreateItem)
	var attributes map[string]string
	if err := properties[itemIface+".Attributes"].Store(&attributes); err != nil {
		return none, none, dbus.MakeFailedError(err)
	}
	s.mu.Lock()
	if s.locked || s.collection == "" {
		s.mu.Unlock()
		return none, none, dbus.NewError("org.freedesktop.Secret.Error.IsLocked", []any{"locked"})
	}
	id := s.put(attributes, string(secret.Value))
	s.mu.Unlock()
	if err := s.exportItem(id); err != nil {
		return none, none, dbus.MakeFailedError(err)
	}
	return s.itemPath(id), none, nil
}

func (s *Service) exportItem(id int) error {
	return s.exportTable(methods{
		GetSecret: func(session dbus.ObjectPath) (wireSecret, *dbus.Error) { return s.getSecret(id, session) },
		Delete:    func() (dbus.ObjectPath, *dbus.Error) { return s.deleteItem(id) },
	}, s.itemPath(id), itemIface)
}

func (s *Service) getSecret(id int, session dbus.ObjectPath) (wireSecret, *dbus.Error) {
	s.enter(GetSecret)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[id]
	switch {
	case it == nil:
		return wireSecret{}, errNoObject
	case s.locked || it.locked:
		return wireSecret{}, dbus.NewError("org.freedesktop.Secret.Error.IsLocked", []any{"locked"})
	}
	return wireSecret{session, []byte{}, []byte(it.value), "text/plain; charset=utf8"}, nil
}

func (s *Service) deleteItem(id int) (dbus.ObjectPath, *dbus.Error) {
	s.enter(Delete)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items[id] == nil {
		return none, errNoObject
	}
	delete(s.items, id)
	return none, nil
}
