package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// exam is one examination: what several checks build upon, each found once and
// when it is first asked for.
type exam struct {
	Options
	path    string // of the agent's socket
	pathErr *ipc.Error

	door     func() door
	reply    func() reply
	config   func() (config.Settings, error)
	profiles func() []profile
	answers  func() []answer
	units    func() units
}

func newExam(ctx context.Context, o Options) *exam {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Services == nil {
		o.Services = systemServices(o)
	}
	e := &exam{Options: o}
	e.path, e.pathErr = e.socketPath()
	e.door = sync.OnceValue(func() door { return e.knock(ctx) })
	e.reply = sync.OnceValue(e.ask)
	e.config = sync.OnceValues(func() (config.Settings, error) { return config.Load(e.Files.Config) })
	e.profiles = sync.OnceValue(e.listProfiles)
	e.answers = sync.OnceValue(func() []answer { return e.askServers(ctx) })
	e.units = sync.OnceValue(func() units { return e.findUnits(ctx) })
	return e
}

func (e *exam) socketPath() (string, *ipc.Error) {
	if e.System && e.Getenv(ipc.EnvSocket) == "" {
		return ipc.SystemDir + "/agent.sock", nil
	}
	path, err := ipc.SocketPath(e.Getenv)
	bad, _ := errors.AsType[*ipc.Error](err)
	return path, bad
}

// door is the socket as it is found: whether anybody is behind it.
type door struct {
	listens bool
	denied  bool     // the system does not let us in
	peer    ipc.Peer //nolint:unused // on Windows the pipe has an owner
	known   bool     //nolint:unused // peer is
	err     error    // of the connection; nil if listens
}

// replyTime is how long the agent may take. It looks at its stores in the
// meantime, for a second.
const replyTime = 5 * time.Second

// reply is what the agent says of itself.
type reply struct {
	status *ipc.Status       // nil: it did not say
	expiry *ipc.ExpiryReport // nil: it did not say
	err    *ipc.Error        // why status is nil; nil also where no agent runs
}

// ask asks the agent at the socket, and starts none.
func (e *exam) ask() reply {
	if e.pathErr != nil || !e.door().listens {
		return reply{}
	}
	c := ipc.Open(ipc.Options{NoStart: true, Getenv: func(name string) string {
		if name == ipc.EnvSocket { // this one, and no other
			return e.path
		}
		return e.Getenv(name)
	}})
	get := func(path string, out any) *ipc.Error {
		r, err := c.Do(ipc.Request{Method: "GET", Path: path, Accept: "application/json", Timeout: replyTime})
		bad, _ := errors.AsType[*ipc.Error](err)
		switch {
		case bad != nil:
			return bad
		case r.Status != 200:
			bad = &ipc.Error{}
			if json.Unmarshal(r.Body, bad) == nil && bad.Code != "" {
				return bad
			}
		case json.Unmarshal(r.Body, out) == nil:
			return nil
		}
		return &ipc.Error{Code: ipc.CodeAgent, Message: "what answers at " + e.path + " is not a csp-agent",
			Hint: "check " + ipc.EnvSocket + ", and that nothing else uses that socket"}
	}
	var st ipc.Status
	if err := get("/v1/status", &st); err != nil {
		return reply{err: err}
	}
	if st.PID == 0 || st.Version == "" {
		return reply{err: &ipc.Error{Code: ipc.CodeAgent, Message: "what answers at " + e.path + " is not a csp-agent",
			Hint: "check " + ipc.EnvSocket + ", and that nothing else uses that socket"}}
	}
	var ex ipc.ExpiryReport
	if get("/v1/expiry", &ex) != nil {
		return reply{status: &st}
	}
	return reply{status: &st, expiry: &ex}
}

// restart is how to end the agent and start it anew.
func (e *exam) restart() string {
	if e.System {
		return "csp-agent restart --system"
	}
	return "csp-agent restart"
}

// ofService reports whether the agent that answers was started by the service
// manager.
func (e *exam) ofService() bool {
	st := e.reply().status
	return st != nil && st.PID == e.units().pid
}

// inside reports whether what is inside the agent is known here: the system's
// service shows it to its own user, whose files are not this user's.
func (e *exam) inside() bool { return !e.System || e.reply().status != nil }

// profile is a profile as the agent tells of it or, where none answers, as the
// state file does.
type profile struct {
	name, provider, server, store string
	ca                            []byte // PEM, from the state file alone
	loggedIn                      time.Time
	loggedOut                     bool
	status                        *ipc.ProfileStatus // nil: no agent answers
	expiry                        *ipc.ProfileExpiry // nil: nothing was said
}

// stateFile is what of the agent's state is read here.
type stateFile struct {
	Profiles map[string]struct {
		Provider  string    `json:"provider"`
		Origin    string    `json:"origin"`
		Store     string    `json:"store"`
		CA        string    `json:"ca"`
		LoggedIn  time.Time `json:"logged_in_at"`
		LoggedOut bool      `json:"logged_out"`
	} `json:"profiles"`
}

// maxState bounds the state file, in bytes.
const maxState = 16 << 20

func readState(path string) (s stateFile, err error) {
	b, err := atomicfile.Read(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

func (e *exam) listProfiles() (list []profile) {
	file, _ := readState(e.Files.State) // the check of the files tells of an error
	st, ex := e.reply().status, e.reply().expiry
	if st == nil {
		for _, name := range slices.Sorted(maps.Keys(file.Profiles)) {
			p := file.Profiles[name]
			list = append(list, profile{name: name, provider: p.Provider, server: p.Origin, store: p.Store, ca: []byte(p.CA),
				loggedIn: p.LoggedIn, loggedOut: p.LoggedOut})
		}
		return list
	}
	for i := range st.Profiles {
		s := &st.Profiles[i]
		p := profile{name: s.Name, provider: s.Provider, server: s.Server, store: s.Store, ca: []byte(file.Profiles[s.Name].CA),
			loggedIn: s.LoggedIn, loggedOut: s.LoggedOut, status: s}
		if ex != nil {
			for j := range ex.Profiles {
				if ex.Profiles[j].Profile == s.Name {
					p.expiry = &ex.Profiles[j]
				}
			}
		}
		list = append(list, p)
	}
	return list
}

// uses reports whether a profile that is logged in keeps its secret there, and
// the first one that does.
func (e *exam) uses(store string) (name string, used bool) {
	for _, p := range e.profiles() {
		if p.store == store && !p.loggedOut {
			return p.name, true
		}
	}
	return "", false
}

// next reports whether the next login would keep its secret there.
func (e *exam) next(store string) bool {
	s, _ := e.config()
	return s.Store == store || s.Store == "" && store == provider.Keychain
}
