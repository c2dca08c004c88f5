// Package standin lets programs that want an API token have none. For each run
// of such a program it makes a stand-in for the token, and serves the exchange
// as Cloud Services would, on loopback, for that stand-in alone.
//
// A stand-in is worth nothing anywhere else, and nothing after its run. What it
// is exchanged for is the access token of the agent, which is cached and renewed
// like for everybody.
package standin

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// alphabet is that of RFC 4648, section 6, in lower case: it needs no escaping in
// a form, which some clients leave out.
var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// standInBytes is the entropy of a stand-in.
const standInBytes = 32

// newStandIn returns a stand-in: 64 characters, as most API tokens have.
func newStandIn() secret.Text {
	b := make([]byte, standInBytes)
	_, _ = rand.Read(b) // it never fails
	return secret.New(provider.StandInPrefix + strings.ToLower(alphabet.EncodeToString(b)))
}

// isStandIn reports whether text has the form of a stand-in.
func isStandIn(text string) bool {
	rest, ok := strings.CutPrefix(text, provider.StandInPrefix)
	b, err := alphabet.DecodeString(strings.ToUpper(rest))
	return ok && err == nil && len(b) == standInBytes && rest == strings.ToLower(rest)
}

// newID returns the name of a run in the audit log.
func newID() string { return "run-" + strings.ToLower(rand.Text()[:10]) }

// Holder is the process that asked for a run, and whose end is the run's. Its
// functions may be called at the same time.
type Holder struct {
	UID     uint32 // whose processes may use the stand-in
	Profile string // never empty
	Server  string // of the profile: another one ends the run,
	Org     string // and so does another organization

	// Token returns an access token with half of its life left and of an age of at
	// most maxAge (see ipc.TokenRequest), where those can be had. It puts the answer
	// on record under the id of the run.
	Token func(ctx context.Context, run, maxAge string) (ipc.Token, error)
	// Details are what the server says about the API token; it puts that on record.
	Details func(ctx context.Context, run string) (ipc.ProfileDetails, error)
	// PublicKeys are what the access tokens are signed with, as JWK set or as
	// JSON with PEM; see jwtcheck.Verify.
	PublicKeys func(ctx context.Context) ([]byte, error)
	// Refused puts on record that something other than the stand-in was tried, or
	// somebody else tried; it is called once in a run for each reason.
	Refused func(run, reason string)
}

// ErrNotForUser is the error of a Holder's functions where the profile, or the
// socket, is not for its user any more. It ends the run.
var ErrNotForUser = &ipc.Error{Code: ipc.CodeNotAllowed, Message: "the profile is not for this user any more", Hint: "ask the administrator of this agent"}

// The reasons of Holder.Refused.
const (
	ReasonBadStandIn = "not the stand-in"
	ReasonOtherUser  = "another user"
	ReasonNoPeer     = "nobody knows whose process"
	ReasonBrowser    = "a browser, or another host's name"
)

// lifetime is how long a run lasts at most.
func lifetime(text string) (time.Duration, *ipc.Error) {
	if text == "" {
		return ipc.DefaultRunLifetime, nil
	}
	d, bad := ipc.ParseDuration(text)
	if bad != nil {
		return 0, bad
	}
	if d <= 0 || d > ipc.MaxRunLifetime {
		return 0, &ipc.Error{Code: ipc.CodeBadRequest, Message: "a run lasts for up to 30 days", Hint: "ask for less with --lifetime"}
	}
	return d, nil
}
