package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// roles are those that the settings and systemd's units name.
var roles = map[string]api.Role{
	"owner":            api.Owner,
	config.RoleToken:   api.Token,
	config.RoleObserve: api.Observe,
}

// firstSocket is one that the agent can't do without: the owner's, and those
// that systemd passed, whose names (FileDescriptorName=) are their roles.
type firstSocket struct {
	*listen.Listener
	role api.Role
	said string // what was logged of it last
}

type firstSockets struct {
	all []*firstSocket // the owner's first
	log *slog.Logger
}

// openSockets returns the sockets that systemd passed, and makes the owner's if
// it is not among them.
func openSockets(s *settings, log *slog.Logger, refused func(listen.Peer, error)) (*firstSockets, error) {
	var bad error
	f := &firstSockets{log: log}
	passed, err := listen.Activated(func(name, path string) listen.Options {
		role, ok := roles[name]
		if !ok && s.system {
			bad = fmt.Errorf("systemd passed the socket %s under the name %q: give its unit FileDescriptorName=owner, token or observe", path, name)
		}
		o := listen.Options{AllowRoot: s.allowRoot(), Refused: refused}
		if role == api.Token || role == api.Observe {
			o = bounded(role, o)
		}
		return o
	})
	for _, l := range passed {
		f.all = append(f.all, &firstSocket{Listener: l, role: cmp.Or(roles[l.Name()], api.Owner)})
	}
	slices.SortFunc(f.all, func(a, b *firstSocket) int {
		return cmp.Or(-cmp.Compare(a.role, b.role), cmp.Compare(a.Path(), b.Path())) // the owner's role is the greatest
	})
	if err = errors.Join(err, bad); err == nil && (len(f.all) == 0 || f.all[0].role != api.Owner) {
		var l *listen.Listener
		if l, err = makeOwners(s, refused); err == nil {
			f.all = slices.Insert(f.all, 0, &firstSocket{Listener: l, role: api.Owner})
		}
	}
	if err != nil {
		f.close()
		return nil, err
	}
	f.follow(s.sockets()) // before anybody is served
	return f, nil
}

// makeOwners makes the owner's socket.
func makeOwners(s *settings, refused func(listen.Peer, error)) (*listen.Listener, error) {
	o := listen.Options{AllowRoot: s.allowRoot(), Refused: refused}
	if !s.system {
		var err error
		if o.Path, err = ipc.SocketPath(os.Getenv); err != nil {
			return nil, err
		}
		return listen.Listen(o)
	}
	o.Shared = true // its folder has those of others
	o.Path = cmp.Or(os.Getenv(ipc.EnvSocket), filepath.Join(ipc.SystemDir, "agent.sock"))
	l, err := listen.Listen(o)
	if err != nil && !errors.Is(err, listen.ErrRunning) {
		err = fmt.Errorf("%w (the system service is started by its socket units, or as root, or with RuntimeDirectory=csp-agent)", err)
	}
	return l, err
}

func (f *firstSockets) listeners() []*listen.Listener {
	var list []*listen.Listener
	for _, s := range f.all {
		list = append(list, s.Listener)
	}
	return list
}

func (f *firstSockets) close() {
	for _, s := range f.all {
		_ = s.Close()
	}
}

// follow has the sockets that systemd passed serve whom the settings list for
// their paths, or else the group that their unit gave them. It returns the
// settings of all other sockets. It costs little where nothing changed.
func (f *firstSockets) follow(list []config.Socket) (others []config.Socket) {
	mine := map[string]config.Socket{}
	for _, k := range list {
		path := filepath.Clean(k.Path)
		if slices.ContainsFunc(f.all, func(s *firstSocket) bool { return s.Name() != "" && filepath.Clean(s.Path()) == path }) {
			mine[path] = k
		} else {
			others = append(others, k)
		}
	}
	for _, s := range f.all {
		k, listed := mine[filepath.Clean(s.Path())]
		switch {
		case listed && roles[k.Role.Name] != s.role:
			f.say(s, "the settings give a socket another role than its unit: it serves the agent's user alone", "give both the same role, or remove the socket from the settings")
			s.Admit(nil, nil)
		case s.role == api.Owner:
		case listed:
			s.Admit(k.UIDs, k.GIDs)
			f.say(s, "", "")
		case !s.StillOurs(): // it is made again first
		default:
			gid, ok := listen.GroupOf(s.Path())
			if !ok {
				f.say(s, "a socket for others has no group, so that nobody can use it", "set SocketGroup= in its unit, or list uids or gids for its path in [[sockets]] of the settings")
				s.Admit(nil, nil)
				continue
			}
			s.Admit(nil, []uint32{gid})
			f.say(s, "", "")
		}
	}
	return others
}

// say logs what is wrong with a socket, once.
func (f *firstSockets) say(s *firstSocket, what, fix string) {
	if s.said != what {
		if s.said = what; what != "" {
			f.log.Error(what, "socket", s.Path(), "role", s.role, "fix", fix)
		}
	}
}
