// Package client gives Go programs access tokens of VMware Cloud Services from
// csp-agent. The API token stays in the agent's store: a program that uses this
// package never sees it, and so can't lose it.
//
//	hc := client.New(client.Options{Profile: "prod"}).HTTPClient()
//	resp, err := hc.Get("https://vmc.vmware.com/vmc/api/orgs")
//
// The agent is found, and started where none runs, as cspctl does it: at
// $CSP_AGENT_SOCK, else the system service or the user's own. It caches and
// renews tokens, so nothing is kept here: each token that is asked for costs a
// request on a Unix socket (a named pipe on Windows), about a millisecond.
//
// For programs that take a token source of golang.org/x/oauth2, there is
// [Client.TokenSource]; for net/http, [Transport]. Every error that comes from
// the agent is an [*Error].
package client

import (
	"context"
	"time"

	"golang.org/x/oauth2"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Options say which tokens are asked for, and where. The zero value means the
// default profile, as `cspctl token` has it.
type Options struct {
	// Profile is the name given at `cspctl login`. Empty: $CSPCTL_PROFILE, else
	// the agent's default profile.
	Profile string

	// MinTTL is the life that a token must have left. Zero: the agent's floor, 5
	// minutes, or a third of the token's life where that is less.
	MinTTL time.Duration

	// Socket is the path of the agent's socket. Empty: $CSP_AGENT_SOCK, else
	// where cspctl finds it. Whoever listens there must be this process's user,
	// or the one whose number $CSP_AGENT_UID has.
	Socket string

	// NoStart: an agent that does not run is not started.
	NoStart bool

	// Interactive: a person is at the machine, whom a keychain may ask to be
	// unlocked.
	Interactive bool
}

// Client asks the agent for tokens. It may be used by several goroutines at
// once, and holds neither tokens nor connections.
type Client struct{ o Options }

// New returns a Client. It opens nothing: trouble shows when a token is asked
// for.
func New(o Options) *Client { return &Client{o: o} }

// unknownLife is how long a token is thought to live whose server did not say
// for how long: the agent does not keep it at all, and package oauth2 would for
// ever.
const unknownLife = time.Minute

// Token returns a token with at least MinTTL left by the server's clock. Its
// Extra has "profile", "provider" and, where the API token behind it is about to
// expire, "warning", a line for a person.
//
// An error is ctx's, or an [*Error]. A context that ends gives up waiting; an
// exchange that is under way goes on in the agent, for the next one who asks.
func (c *Client) Token(ctx context.Context) (*oauth2.Token, error) {
	return c.ask(ctx, ipc.TokenRequest{})
}

// Younger is Token for somebody whose token was refused: one that the agent got
// more than maxAge ago is replaced first, if that can be had. Less than a minute
// counts as a minute. The token may well be the one that was refused.
func (c *Client) Younger(ctx context.Context, maxAge time.Duration) (*oauth2.Token, error) {
	return c.ask(ctx, ipc.TokenRequest{MaxAge: max(maxAge, time.Minute).String()})
}

func (c *Client) ask(ctx context.Context, req ipc.TokenRequest) (*oauth2.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req.Profile, req.Interactive, req.Warnings = c.profile(), c.o.Interactive, ipc.WarningsAlways
	if c.o.MinTTL > 0 {
		req.MinTTL = c.o.MinTTL.String()
	}
	type answer struct {
		token ipc.TokenReply
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		// An ipc.Client is for one goroutine, and costs nothing to make.
		t, err := ipc.Open(ipc.Options{Getenv: c.getenv, NoStart: c.o.NoStart}).Token(req)
		answers <- answer{t, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answers:
		if a.err != nil {
			return nil, publicError(a.err)
		}
		return publicToken(a.token), nil
	}
}

func publicToken(r ipc.TokenReply) *oauth2.Token {
	t := &oauth2.Token{AccessToken: r.Token.Reveal(), TokenType: r.Type, Expiry: r.ExpiresAt}
	if t.Expiry.IsZero() {
		t.Expiry = time.Now().Add(unknownLife)
	}
	extra := map[string]any{"profile": r.Profile, "provider": r.Provider}
	if r.Warning != "" {
		extra["warning"] = r.Warning
	}
	return t.WithExtra(extra)
}

// TokenSource returns a source of tokens for programs that take one, such as
// clients made from OpenAPI descriptions. ctx is that of all its requests.
//
// The source asks the agent each time, which is what keeps tokens fresh; give
// it to an oauth2.Transport as it is. oauth2.NewClient and ReuseTokenSource
// keep a token until 10 seconds before its end: where one of these can't be
// avoided, wrap the source first, by oauth2.ReuseTokenSourceWithExpiry(nil,
// source, 5*time.Minute). Neither asks again after a 401, as [Transport] does,
// nor does an oauth2.Transport look at the host.
func (c *Client) TokenSource(ctx context.Context) oauth2.TokenSource { return source{ctx, c} }

// source is a token source, whose interface has no room for a context.
type source struct {
	ctx context.Context
	c   *Client
}

func (s source) Token() (*oauth2.Token, error) { return s.c.Token(s.ctx) }
