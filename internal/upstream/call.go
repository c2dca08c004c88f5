package upstream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// maxBody bounds an answer, in bytes, after decompression.
const maxBody = 1 << 20

// Form is the Content-Type of OAuth's requests (RFC 6749, appendix B).
const Form = "application/x-www-form-urlencoded"

// Call is one request.
type Call struct {
	System *System
	Method string // default POST
	Path   string // below the origin, escaped
	Type   string // Content-Type; empty: there is no body
	Accept string // default application/json
	Auth   string // Authorization: never logged
	Body   string // may hold a secret: never logged
	Clean  Cleaner
}

// Reply is what the server answered, whatever its status.
type Reply struct {
	System  *System
	Host    string // for messages
	Status  int
	Header  http.Header
	Body    []byte
	TooLong bool      // Body is the start of more than 1 MiB
	At      time.Time // when the body had arrived
	Clean   Cleaner
	log     *slog.Logger // may be nil
}

// Do makes the call to the server that cred names; of cred's secret, it uses
// nothing. Its error is a *provider.Error of class Transient, or WrongServer
// where cred names no server. Where an answer broke off, what there is of it
// comes along with the error.
func (c *Client) Do(ctx context.Context, cred provider.Credential, what Call) (Reply, error) {
	origin, err := ParseServer(cred.Origin)
	if err != nil {
		return Reply{}, Fail(provider.WrongServer, err.Error(), "log in again with --server", err)
	}
	p := c.pool.Load()
	transport, err := p.transport(cred.CA)
	if err != nil {
		return Reply{}, Fail(provider.Transient, err.Error(), "log in again with another --ca-file", err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.CallTimeout)
	defer cancel()
	defaultTo(&what.Method, http.MethodPost)
	defaultTo(&what.Accept, "application/json")
	req, err := http.NewRequestWithContext(ctx, what.Method, origin+what.Path, strings.NewReader(what.Body))
	if err != nil {
		return Reply{}, Fail(provider.WrongServer, "the server's address can't be used", "check --server", err)
	}
	for name, value := range map[string]string{"Content-Type": what.Type, "Accept": what.Accept,
		"Authorization": what.Auth, "User-Agent": p.o.UserAgent} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}

	r := Reply{System: what.System, Host: req.URL.Host, Clean: what.Clean, log: p.o.Log}
	begun := time.Now()
	defer func() {
		p.o.Log.LogAttrs(ctx, slog.LevelDebug, "upstream call", slog.String("host", r.Host), slog.String("path", what.Path),
			slog.Int("status", r.Status), slog.Duration("took", time.Since(begun)), slog.String("request_id", r.RequestID()))
	}()
	// The bare transport follows no redirect and keeps no cookie: the request
	// holds the secret, and must go nowhere else.
	res, err := transport.RoundTrip(req)
	if err != nil {
		return Reply{}, p.unreachable(req, err, what.Clean)
	}
	defer res.Body.Close()
	r.Status, r.Header = res.StatusCode, res.Header
	// The transport has decompressed what it asked to be compressed.
	r.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	r.At = time.Now()
	if len(r.Body) > maxBody {
		r.Body, r.TooLong = r.Body[:maxBody], true
	}
	if err != nil && (r.Success() || ctx.Err() != nil) {
		e := p.unreachable(req, err, what.Clean)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			e.Message = "the answer of " + r.Host + " broke off"
		}
		e.RequestID = r.RequestID()
		return r, e
	}
	return r, nil
}

// Success reports whether the server says that it did what was asked.
func (r Reply) Success() bool { return r.Status >= 200 && r.Status < 300 }

// RequestID is the server's name for the call.
func (r Reply) RequestID() string { return r.Clean.Identifier(r.Header.Get(r.System.RequestID)) }

// ServerTime is the Date header (RFC 9110, section 6.6.1); zero if missing.
func (r Reply) ServerTime() time.Time {
	t, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// Now is the server's time, or else ours.
func (r Reply) Now() time.Time {
	if t := r.ServerTime(); !t.IsZero() {
		return t
	}
	return r.At
}
