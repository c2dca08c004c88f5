//go:build unix

package client_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/client"
	"github.com/cspctl/cspctl/internal/ipc"
)

// socket is of an agent that runs for all tests and examples.
var socket string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	socket = filepath.Join(dir, "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go http.Serve(l, new(agent))
	os.Setenv("CSP_AGENT_SOCK", socket)
	os.Unsetenv("CSP_AGENT_UID")
	os.Unsetenv("CSPCTL_PROFILE")
	return m.Run()
}

// agent speaks the wire. Its tokens are numbers.
type agent struct {
	mu      sync.Mutex
	n       int               // of the current token
	younger bool              // max_age brings another one
	asked   []string          // the queries, in order
	refuse  map[string]string // by profile: the JSON of an error
	hang    chan struct{}     // not nil: no answer until it is closed
	hangs   chan struct{}     // each request that hangs
}

func (a *agent) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	hang := a.hang
	a.asked = append(a.asked, r.URL.RawQuery)
	if a.younger && r.FormValue("max_age") != "" {
		a.n++
	}
	token, refusal := a.token(), a.refuse[r.FormValue("profile")]
	a.mu.Unlock()
	if hang != nil {
		a.hangs <- struct{}{}
		<-hang
	}
	rw.Header().Set(ipc.HeaderVersion, ipc.Version)
	if refusal != "" {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Length", fmt.Sprint(len(refusal)))
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprint(rw, refusal)
		return
	}
	rw.Header().Set("Content-Type", "text/plain")
	rw.Header().Set(ipc.HeaderProfile, "prod")
	rw.Header().Set(ipc.HeaderProvider, "csp")
	switch r.FormValue("profile") {
	case "endless":
	case "dying":
		rw.Header().Set(ipc.HeaderWarning, "API token of dying expires in 3 days")
		fallthrough
	default:
		rw.Header().Set(ipc.HeaderExpiresAt, time.Now().Add(30*time.Minute).UTC().Format(time.RFC3339))
	}
	rw.Header().Set("Content-Length", fmt.Sprint(len(token)+1))
	fmt.Fprintln(rw, token)
}

func (a *agent) token() string { return fmt.Sprintf("token-%d", a.n) }

// newAgent is one of a test's own, and a client of it.
func newAgent(t *testing.T, o client.Options) (*agent, *client.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "c") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o.Socket = filepath.Join(dir, "agent.sock")
	l, err := net.Listen("unix", o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{refuse: map[string]string{}, hangs: make(chan struct{}, 10)}
	s := &http.Server{Handler: a}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return a, client.New(o)
}

// set changes what it answers.
func (a *agent) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *agent) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}
