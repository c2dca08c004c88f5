package ipc

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// Options say how a Client finds its agent.
type Options struct {
	Getenv    func(string) string       // nil: os.Getenv
	NoStart   bool                      // never start an agent, as in shell completion
	OwnOnly   bool                      // never the system service's socket, unless CSP_AGENT_SOCK names it: as for a login
	OnVersion func(agentVersion string) // called at most once, if the agent's version is not ours
}

// Client talks to the agent. Every error of its methods is an *Error. It is
// not for concurrent use.
type Client struct {
	o     Options
	path  string // of the agent that answered; empty before the first call
	noted bool   // OnVersion was called
}

// Open returns a client. It opens nothing: trouble shows in the first call.
func Open(o Options) *Client {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return &Client{o: o}
}

// Do sends a request and returns the reply, whatever its status. Its errors
// have CodeAgent: no agent and none could be started, not ours, no answer in
// time, not a reply; or CodeBadRequest for a request that can't be sent.
//
// A request goes to the agent at $CSP_AGENT_SOCK, or else, where the user has no
// profiles, to the system service if there is one and it serves this user, or
// else to the user's own agent, which Do starts if it does not answer.
func (c *Client) Do(req Request) (*Reply, error) {
	raw, err := req.encode()
	if err != nil {
		return nil, err
	}
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	deadline := time.Now().Add(timeout)
	reply, path, err := c.exchange(raw, req.ownAgentOnly(), deadline)
	if req.Method == "GET" && isHangup(err) {
		// The agent ended between accepting and reading, as for an upgrade.
		reply, path, err = c.exchange(raw, req.ownAgentOnly(), deadline)
	}
	if err != nil {
		return nil, explain(err, path)
	}
	c.path = path
	c.noteVersion(reply)
	return reply, nil
}

func (c *Client) noteVersion(reply *Reply) {
	if v := reply.Header(HeaderVersion); v != "" && v != Version && !c.noted && c.o.OnVersion != nil {
		c.noted = true
		c.o.OnVersion(v)
	}
}

func (c *Client) exchange(raw []byte, ownOnly bool, deadline time.Time) (*Reply, string, error) {
	conn, path, err := c.connect(ownOnly || c.o.OwnOnly, deadline)
	if err != nil {
		return nil, path, err
	}
	defer conn.close()
	sent := conn.write(raw, deadline)
	if sent != nil && !isHangup(sent) {
		return nil, path, sent
	}
	// An agent that refuses the peer answers and closes without reading.
	reply, err := readReply(func(p []byte) (int, error) { return conn.read(p, deadline) })
	if sent != nil && err != nil {
		err = sent
	}
	return reply, path, err
}

// isHangup reports whether the other side closed before it answered.
func isHangup(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// isAbsent reports whether nobody listens.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ECONNREFUSED)
}

func noAgent(path string) *Error {
	return &Error{Code: CodeAgent, Message: "no agent answers at " + oneLine(path), Hint: "start it with: csp-agent run"}
}

// explain turns what went wrong with the agent at path into an *Error.
func explain(err error, path string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	path = oneLine(path)
	e := &Error{Code: CodeAgent, Err: err, Hint: "see whether it runs with: cspctl status"}
	switch {
	case isAbsent(err):
		none := noAgent(path)
		none.Err = err
		return none
	case errors.Is(err, fs.ErrPermission):
		e.Message = "no permission to use the socket " + path
		e.Hint = "it belongs to another user or group: check " + EnvSocket + ", or ask to be added to the group"
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.Message = "the agent at " + path + " did not answer in time"
		e.Hint = "try again; if it happens again: csp-agent restart"
	case errors.Is(err, errGarbage):
		e.Message = "what answers at " + path + " is not a csp-agent"
		e.Hint = "check " + EnvSocket + ", and that nothing else uses that socket"
	case isHangup(err), errors.Is(err, io.ErrUnexpectedEOF):
		e.Message = "the agent at " + path + " closed the connection before it answered"
		e.Hint = "try again; if it happens again, see why by hand: csp-agent run"
	default:
		e.Message = "the agent at " + path + " can't be reached: " + words(err)
	}
	return e
}

// Call sends in, if not nil, as JSON and reads the reply into out, if not nil.
// A reply other than 2xx becomes the *Error that it carries. PUT and POST wait
// as long as a person may need for a keychain's dialog; so does a GET that says
// interactive=true.
func (c *Client) Call(method, path string, in, out any) error {
	req := Request{Method: method, Path: path, Accept: "application/json"}
	if method != "GET" || strings.HasSuffix(path, "?interactive=true") {
		req.Timeout = PromptTimeout
	}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return &Error{Code: CodeInternal, Message: "the request can't be written as JSON", Err: err}
		}
		req.Body = body
	}
	reply, err := c.Do(req)
	if err != nil {
		return err
	}
	if reply.Status >= 300 {
		return c.refusal(reply)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(reply.Body, out); err != nil {
		return explain(errGarbage, c.path)
	}
	return nil
}

// refusal reads the error in a reply that is not a success.
func (c *Client) refusal(r *Reply) error {
	var e Error
	if json.Unmarshal(r.Body, &e) != nil || e.Code == "" || e.Message == "" {
		return explain(errGarbage, c.path)
	}
	e.Message, e.Hint, e.Request = oneLine(e.Message), oneLine(e.Hint), oneLine(e.Request)
	return &e
}
