// Package api serves an agent over HTTP: handlers, roles and the audit log.
// docs/protocol.md shows the same as curl commands.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/standin"
)

// Options are what a Server is made of. Agent is needed.
type Options struct {
	Agent  *agent.Agent
	Role   Role          // of the socket; Owner if zero
	Socket string        // its path, for the status
	Audit  *Audit        // nil: answers are not put on record
	Events *Events       // nil: there are none to read
	Runs   *standin.Runs // nil: no stand-ins are made
	Sinks  Sinks         // nil: there are none
	Log    *slog.Logger

	// Grants returns for whom the settings list a profile; the role Token alone
	// asks. Nil: nobody is listed.
	Grants func(profile string) Grant
	// Hosts are those that the settings add to GET /v1/hosts. Nil: none.
	Hosts func() []string
	// Listed reports whether the peer of a request is in a list; nil:
	// listen.Listed.
	Listed func(ctx context.Context, uids, gids []uint32) bool

	// Config tells the condition of the settings.
	Config func() ipc.ConfigStatus
	// Tools is the table for cspctl exec --for. Nil: it is empty.
	Tools func() []ipc.Tool
	// Unusable returns the error that answers every request which needs
	// settings, where there never were any that could be used; else nil.
	Unusable func() *ipc.Error
	// Metrics returns the page of metrics in a format that the Accept header
	// takes, and its Content-Type. Nil: there is none.
	Metrics func(accept string) (contentType string, page []byte, err error)
	// Refused, if not nil, hears of requests that were turned away for what
	// they are, whatever they ask: by ipc.RefusedRole and so on.
	Refused func(listen.Peer, string)
}

// Server is the http.Handler of one socket.
type Server struct {
	Options
	mux *http.ServeMux

	pages  chan struct{} // one for each page of metrics under way
	mu     sync.Mutex
	coming map[string]int // logins under way, by profile; see makeRoom
}

// call is one request, with what every handler needs of it.
type call struct {
	*http.Request
	peer  listen.Peer
	about about
}

// handler answers a call with a value for the JSON body, or with an error.
type handler func(*Server, *call) (any, error)

// New returns the handler for one socket.
func New(o Options) *Server {
	if o.Role == 0 {
		o.Role = Owner
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, mux: http.NewServeMux(), pages: make(chan struct{}, maxPages), coming: map[string]int{}}
	for _, r := range routes {
		s.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { s.serve(w, req, r) })
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(ipc.HeaderVersion, ipc.Version)
	// A name that no browser resolves to a socket of ours, and no other.
	if r.Host != ipc.Host {
		s.refused(r, ipc.RefusedHost)
		s.fail(w, r, &ipc.Error{Code: ipc.CodeNotAllowed, Message: "the Host header must be " + ipc.Host, Hint: "use the URL http://" + ipc.Host + "/v1/..."})
		return
	}
	// The mux would answer other spellings of a path with a redirect.
	if _, pattern := s.mux.Handler(r); pattern == "" || path.Clean(r.URL.Path) != r.URL.Path {
		s.fail(w, r, &ipc.Error{Code: ipc.CodeNotFound, Message: "there is no such path or method", Hint: "docs/protocol.md lists them"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, ipc.MaxRequestBody)
	s.mux.ServeHTTP(w, r)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request, r route) {
	peer, _ := listen.PeerFrom(req.Context())
	c := &call{Request: req, peer: peer}
	v, err := s.answer(c, r)
	s.record(c, r, v, err)
	if err != nil {
		s.fail(w, req, err)
		return
	}
	if t, ok := v.(ipc.Token); ok {
		tokenHeaders(w.Header(), t)
		if strings.Contains(req.Header.Get("Accept"), "text/plain") {
			s.write(w, http.StatusOK, "text/plain; charset=utf-8", []byte(t.AccessToken.Reveal()+"\n"))
			return
		}
	}
	if write, ok := v.(stream); ok {
		write(w)
		return
	}
	s.writeJSON(w, http.StatusOK, v)
}

// stream is the answer of a handler that writes by itself: what is no JSON, or
// goes on until the client is gone or the agent ends.
type stream func(http.ResponseWriter)

func tokenHeaders(h http.Header, t ipc.Token) {
	h.Set(ipc.HeaderProfile, t.Profile)
	h.Set(ipc.HeaderProvider, t.Provider)
	if !t.ExpiresAt.IsZero() {
		h.Set(ipc.HeaderExpiresAt, t.ExpiresAt.Format("2006-01-02T15:04:05Z07:00"))
	}
	if t.Warning != nil && !t.Warning.Silent {
		h.Set(ipc.HeaderWarning, headerValue(t.Warning.Message))
		h.Set(ipc.HeaderWarningStage, t.Warning.Stage)
	}
}

// headerValue makes text fit for a header: names that people gave their API
// tokens are part of it.
func headerValue(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok {
		e = &ipc.Error{Code: ipc.CodeInternal, Message: err.Error()}
	}
	s.Log.Debug("refused a request", "method", r.Method, "path", r.URL.Path, "code", e.Code, "err", e.Message)
	if e.Retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(e.Retry, 10))
	}
	s.writeJSON(w, statusOf(e.Code), e)
}

// statusOf is the HTTP status of an error: for clients that look no further.
func statusOf(c ipc.Code) int {
	switch c {
	case ipc.CodeBadRequest, ipc.CodeBadProfileName:
		return http.StatusBadRequest
	case ipc.CodeNoSuchProfile, ipc.CodeNotFound, ipc.CodeNoDetails:
		return http.StatusNotFound
	case ipc.CodeNotLoggedIn, ipc.CodeProfileExists, ipc.CodeOrgDiffers, ipc.CodeMinTTL:
		return http.StatusConflict
	case ipc.CodeRefused, ipc.CodePasscodeNeeded, ipc.CodeRefusedForNow, ipc.CodeNotAllowed:
		return http.StatusForbidden
	case ipc.CodeUnreachable, ipc.CodeWrongServer:
		return http.StatusBadGateway
	case ipc.CodeRateLimited:
		return http.StatusTooManyRequests
	case ipc.CodeLocked, ipc.CodeStoreLocked, ipc.CodePassphraseNotSet:
		return http.StatusLocked
	case ipc.CodeStoreAbsent, ipc.CodeBusy:
		return http.StatusServiceUnavailable
	case ipc.CodeState:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		s.Log.Error("a reply could not be encoded", "err", err)
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"code":"internal","message":"the reply could not be encoded"}` + "\n")
	}
	s.write(w, status, "application/json", b.Bytes())
}

// write sends a whole reply. It always states the length: the client refuses
// chunks.
func (s *Server) write(w http.ResponseWriter, status int, contentType string, b []byte) {
	s.writeUpTo(ipc.MaxReplyBody, w, status, contentType, b)
}

// writeUpTo is write for an answer whose bound is its own.
func (s *Server) writeUpTo(most int, w http.ResponseWriter, status int, contentType string, b []byte) {
	if len(b) > most {
		s.writeJSON(w, http.StatusInternalServerError, tooLong(len(b), most))
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone needs no reply
}

// decode reads a JSON body. Unknown fields are ignored: a newer client may
// send them.
func (c *call) decode(v any) error {
	b, err := io.ReadAll(c.Body)
	if err != nil {
		return &ipc.Error{Code: ipc.CodeBadRequest, Message: "the request's body could not be read, or is over 64 KiB"}
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	if json.Unmarshal(b, v) != nil {
		// The decoder's own words may quote the body, which may hold a secret.
		return &ipc.Error{Code: ipc.CodeBadRequest, Message: "the request's body is not the JSON that this path takes", Hint: "docs/protocol.md shows it"}
	}
	return nil
}
