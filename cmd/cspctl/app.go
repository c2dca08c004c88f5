package main

import (
	"io"
	"os"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/term"
)

// environment is the world around a command, replaced by tests.
type environment struct {
	getenv     func(string) string
	stdin      io.Reader
	stdout     io.Writer
	stderr     io.Writer
	isTerminal func(stream int) bool // 0, 1 or 2, as descriptors are numbered
	openTTY    func() (terminal, error)
	columns    func() int // of stdout; 0: it is no terminal, or does not say
	openScreen func() (screen, error)
	now        func() time.Time
	inPlace    func(exe string, args []string) (code int, err error) // of this program
	environ    func() []string
}

// terminal is where a person is asked.
type terminal interface {
	Secret(prompt string, limit int) (secret.Text, error)
	Confirm(question string) (bool, error)
	Close() error
}

// system returns the real environment.
func system() environment {
	return environment{
		getenv: os.Getenv,
		stdin:  os.Stdin,
		stdout: standardOutput(),
		stderr: os.Stderr,
		isTerminal: func(stream int) bool {
			return term.IsTerminal([]*os.File{os.Stdin, os.Stdout, os.Stderr}[stream])
		},
		openTTY: func() (terminal, error) {
			t, err := term.Open()
			if err != nil {
				return nil, err // not a nil *term.TTY in an interface
			}
			return t, nil
		},
		columns: func() int { return term.Columns(os.Stdout) },
		openScreen: func() (screen, error) {
			s, err := term.OpenScreen(os.Stdout)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		now:     time.Now,
		inPlace: ipc.InPlace,
		environ: os.Environ,
	}
}

// app is one run of cspctl.
type app struct {
	environment
	commands []*command
	running  *command // nil until one is found
	tail     []string // what stood behind --, of a command that takes it apart
	output   string   // the form asked for by -o
	json     bool     // it is json: errors and warnings are, too

	versionSaid bool // that the agent's version is another one
}

// agent returns a client that starts the agent if none answers.
func (a *app) agent() *ipc.Client { return a.open(ipc.Options{}) }

// ownAgent returns a client for what concerns secrets: of itself, it never picks
// the system service.
func (a *app) ownAgent() *ipc.Client { return a.open(ipc.Options{OwnOnly: true}) }

// runningAgent returns a client that never starts one.
func (a *app) runningAgent() *ipc.Client { return a.open(ipc.Options{NoStart: true}) }

func (a *app) open(o ipc.Options) *ipc.Client {
	o.Getenv, o.OnVersion = a.getenv, a.sawVersion
	return ipc.Open(o)
}

// sawVersion says once that the agent is of another version, as after an
// upgrade that left the old one running.
func (a *app) sawVersion(agent string) {
	if a.versionSaid {
		return
	}
	a.versionSaid = true
	a.warn("the agent is version "+agent+", this cspctl is "+ipc.Version, "replace it: csp-agent restart")
}

// attended adds to a path of the wire that a person is waiting, who can answer
// a keychain's dialog.
func (a *app) attended(path string) string {
	if a.interactive() {
		return path + "?interactive=true"
	}
	return path
}

// interactive reports whether a person is waiting, who could be asked.
func (a *app) interactive() bool { return a.isTerminal(0) || a.isTerminal(2) }

// print writes the result, all at once, so that a failure before it leaves
// stdout empty.
func (a *app) print(text string) error {
	if text == "" {
		return nil
	}
	if _, err := io.WriteString(a.stdout, text); err != nil {
		return failed(ipc.CodeInternal, "can't write to stdout: "+reason(err), "")
	}
	return nil
}

// profile returns the profile asked for: the first argument, else
// CSPCTL_PROFILE, else "", which the agent takes for the default one.
func (a *app) profile(args []string) (string, error) {
	if len(args) > 0 {
		if err := ipc.CheckName(args[0]); err != nil {
			return "", err
		}
		return args[0], nil
	}
	name := a.getenv("CSPCTL_PROFILE")
	if name == "" {
		return "", nil
	}
	if err := ipc.CheckName(name); err != nil {
		return "", failed(err.Code, "CSPCTL_PROFILE: "+err.Message, err.Hint)
	}
	return name, nil
}

// profiles asks for all profiles.
func profiles(c *ipc.Client) ([]ipc.Profile, error) {
	var list ipc.Profiles
	err := c.Call("GET", "/v1/profiles", nil, &list)
	return list.Profiles, err
}

// oneProfile asks for one profile; an empty name means the default one.
func oneProfile(c *ipc.Client, name string) (p ipc.Profile, err error) {
	err = c.Call("GET", "/v1/profile?name="+ipc.QueryEscape(name), nil, &p)
	return p, err
}

// knownProfile is oneProfile for a name that a person gave: there must be such
// a profile.
func knownProfile(c *ipc.Client, name string) (ipc.Profile, error) {
	p, err := oneProfile(c, name)
	if codeOf(err) == ipc.CodeNoSuchProfile && name != "" {
		err = failed(ipc.CodeNoSuchProfile, "there is no profile "+quote(name), "see: cspctl profile list")
	}
	return p, err
}

// named is profile for the requests whose path has a name in it: it asks the
// agent for the default one.
func (a *app) named(c *ipc.Client, args []string) (string, error) {
	name, err := a.profile(args)
	if err != nil || name != "" {
		return name, err
	}
	p, err := oneProfile(c, "")
	return p.Name, err
}

// listedProfile is the name of the profile asked for, or of the default one. It
// must be among those that this user may have tokens of.
func (a *app) listedProfile(c *ipc.Client, args []string) (string, error) {
	name, err := a.profile(args)
	if err != nil {
		return "", err
	}
	list, err := profiles(c)
	if err != nil {
		return "", err
	}
	for _, p := range list {
		if p.Name == name || name == "" && p.Default {
			return p.Name, nil
		}
	}
	if name == "" {
		return "", failed(ipc.CodeNoSuchProfile, "there is no default profile", "name one; see: cspctl profile list")
	}
	return "", failed(ipc.CodeNoSuchProfile, "there is no profile "+quote(name), "see: cspctl profile list")
}

// profilePath returns the path of a profile whose name was checked: such a
// name needs no escaping.
func profilePath(name string, action ...string) string {
	p := "/v1/profiles/" + name
	for _, s := range action {
		p += "/" + s
	}
	return p
}

// confirm asks a person. Without one, it fails and names the flag that
// answers in advance.
func (a *app) confirm(question, flag string) (bool, error) {
	noTerminal := failed(ipc.CodeBadRequest, "this needs a yes, and there is no terminal to ask on", "add "+flag)
	if !a.interactive() {
		return false, noTerminal
	}
	tty, err := a.openTTY()
	if err != nil {
		return false, noTerminal
	}
	defer func() { _ = tty.Close() }()
	yes, err := tty.Confirm(question)
	if err != nil {
		return false, failed(ipc.CodeInternal, reason(err), "")
	}
	return yes, nil
}
