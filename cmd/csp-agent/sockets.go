package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"

	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// bounded sets the limits of connections to a socket for others than the owner,
// whose place they must not take. Builds ask for tokens by the hundred, and under
// one user.
func bounded(role api.Role, o listen.Options) listen.Options {
	o.MaxConns, o.MaxPerUID = 256, 64
	if role == api.Token {
		o.MaxConns, o.MaxPerUID = 1024, 256
	}
	return o
}

// furtherSockets are those of the settings. None of them keeps the agent from
// serving its owner: what can't be made is logged, with what to do, and tried
// again. It is for one goroutine.
type furtherSockets struct {
	log     *slog.Logger
	refused func(listen.Peer, error)
	handler func(role api.Role, path string) http.Handler

	open map[string]*furtherSocket // by path
}

type furtherSocket struct {
	config.Socket
	listener *listen.Listener // nil while it can't be made
	server   *http.Server
	ended    chan struct{} // closed once the listener is not served any more
	why      error         // of that
	trouble  string        // as it was logged
}

// set closes the sockets that are not in the list any more, or are otherwise
// there, and makes those that are missing. It costs little where nothing changed.
func (f *furtherSockets) set(list []config.Socket) {
	wanted := map[string]config.Socket{}
	for _, k := range list {
		wanted[k.Path] = k
	}
	for path, s := range f.open {
		if k, ok := wanted[path]; !ok || !reflect.DeepEqual(k, s.Socket) {
			f.log.Info("closing a socket", "socket", path)
			s.close()
			delete(f.open, path)
		}
	}
	for path, k := range wanted {
		s := f.open[path]
		if s == nil {
			s = &furtherSocket{Socket: k}
			if f.open == nil {
				f.open = map[string]*furtherSocket{}
			}
			f.open[path] = s
		}
		f.need(s)
	}
}

// need makes the socket, or makes it again if somebody removed it or it is not
// served any more.
func (f *furtherSockets) need(s *furtherSocket) {
	if s.listener != nil {
		select {
		case <-s.ended:
			f.log.Error("a socket is not served any more, and is made again", "socket", s.Path, "err", s.why)
			s.close()
			s.listener = nil
		default:
		}
	}
	var err error
	switch {
	case s.listener == nil:
		err = f.start(s)
	case !s.listener.StillOurs():
		if err = s.listener.Restore(); err == nil {
			f.log.Warn("the socket was gone, and is made again", "socket", s.Path)
		}
	}
	if err == nil {
		s.trouble = ""
	} else if s.trouble != err.Error() {
		s.trouble = err.Error()
		f.log.Error("a socket of the settings can't be made, and is tried again", "socket", s.Path, "err", err, "fix", s.fix(err))
	}
}

// start makes the socket and serves it.
func (f *furtherSockets) start(s *furtherSocket) error {
	dir := filepath.Dir(s.Path)
	if _, err := os.Stat(dir); err != nil { // made here, it would be in folders that are closed to others
		return err
	}
	role := roles[s.Role.Name]
	l, err := listen.Listen(bounded(role, listen.Options{
		Path: s.Path, Shared: true, Mode: s.mode(), GID: int(s.Group),
		UIDs: s.UIDs, GIDs: s.GIDs, Refused: f.refused,
	}))
	if err != nil {
		return err
	}
	s.listener, s.server = l, listen.Server(f.handler(role, s.Path))
	s.server.ErrorLog = slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)
	server, ended := s.server, make(chan struct{})
	s.ended = ended
	go func() {
		s.why = server.Serve(l)
		close(ended)
	}()
	f.log.Info("serving others", "role", s.Role.Name, "socket", s.Path)
	return nil
}

// mode is that of the socket: who connects is asked of the kernel in any case.
func (s *furtherSocket) mode() fs.FileMode {
	switch {
	case s.Mode.FileMode != 0:
		return s.Mode.FileMode
	case s.Group != 0:
		return 0o660
	}
	return 0o666
}

// fix says what the owner can do about a socket that can't be made.
func (s *furtherSocket) fix(err error) string {
	dir := filepath.Dir(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "sudo install -d -m 755 -o " + strconv.Itoa(os.Geteuid()) + " " + dir
	case errors.Is(err, listen.ErrRunning):
		return "give each agent, and each socket, a path of its own"
	case errors.Is(err, fs.ErrPermission) && s.Group != 0:
		return "the folder must be this user's, and the socket's group one of this user's"
	case errors.Is(err, fs.ErrPermission):
		return "sudo chown " + strconv.Itoa(os.Geteuid()) + " " + dir
	}
	return "the folder must be this user's, closed to writing by others, and have nothing else at that path"
}

func (s *furtherSocket) close() {
	if s.listener == nil {
		return
	}
	_ = s.server.Close()
	_ = s.listener.Close()
}

// close lets requests under way end, until ctx does.
func (f *furtherSockets) close(ctx context.Context) {
	for _, s := range f.open {
		if s.listener != nil && s.server.Shutdown(ctx) != nil {
			_ = s.server.Close()
		}
		s.close()
	}
}
