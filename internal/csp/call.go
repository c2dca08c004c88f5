package csp

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

// call is one POST to an endpoint.
type call struct {
	path        string
	contentType string
	body        string // holds the secret: never logged
	clean       cleaner
}

// reply is what the server answered, whatever its status.
type reply struct {
	host    string // for messages
	status  int
	header  http.Header
	body    []byte
	tooLong bool // body is the start of more than maxBody bytes
	at      time.Time
	clean   cleaner
}

// do makes the call. Its error is a *provider.Error of class Transient, or
// WrongServer where the credential names no server.
func (c *Client) do(ctx context.Context, cred provider.Credential, what call) (reply, error) {
	if cred.Secret.IsZero() {
		return reply{}, fail(provider.Permanent, "no API token is stored", "run cspctl login", nil)
	}
	origin, err := ParseServer(cred.Origin)
	if err != nil {
		return reply{}, fail(provider.WrongServer, err.Error(), "log in again with --server", err)
	}
	transport, err := c.transport(cred.CA)
	if err != nil {
		return reply{}, fail(provider.Transient, err.Error(), "log in again with another --ca-file", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+what.path, strings.NewReader(what.body))
	if err != nil {
		return reply{}, fail(provider.WrongServer, "the server's address can't be used", "check --server", err)
	}
	req.Header.Set("Content-Type", what.contentType)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.o.UserAgent)

	r := reply{host: req.URL.Host, clean: what.clean}
	begun := time.Now()
	defer func() {
		c.o.Log.LogAttrs(ctx, slog.LevelDebug, "upstream call", slog.String("host", r.host), slog.String("path", what.path),
			slog.Int("status", r.status), slog.Duration("took", time.Since(begun)), slog.String("request_id", r.requestID()))
	}()
	// The bare transport follows no redirect and keeps no cookie: the body holds
	// the secret, and must go nowhere else.
	res, err := transport.RoundTrip(req)
	if err != nil {
		return reply{}, c.unreachable(req, err, what.clean)
	}
	defer res.Body.Close()
	r.status, r.header = res.StatusCode, res.Header
	// The transport has decompressed what it asked to be compressed.
	r.body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	r.at = time.Now()
	if len(r.body) > maxBody {
		r.body, r.tooLong = r.body[:maxBody], true
	}
	if err != nil && (r.success() || ctx.Err() != nil) {
		e := c.unreachable(req, err, what.clean)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			e.Message = "the answer of " + r.host + " broke off"
		}
		e.Status, e.RequestID = r.status, r.requestID()
		return reply{}, e
	}
	return r, nil
}

func (r reply) success() bool { return r.status >= 200 && r.status < 300 }

// requestID is the server's name for the call.
func (r reply) requestID() string { return r.clean.identifier(r.header.Get("Csp-Request-Id")) }

// serverTime is the Date header (RFC 9110, section 6.6.1); zero if missing.
func (r reply) serverTime() time.Time {
	t, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// now is the server's time, or else ours.
func (r reply) now() time.Time {
	if t := r.serverTime(); !t.IsZero() {
		return t
	}
	return r.at
}
