package agent

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// KeyPublisher is a Provider whose server publishes the keys that its access
// tokens are signed with.
type KeyPublisher interface {
	// PublicKeys returns the keys as the server serves them. The credential
	// names the server and its CA; it has no secret.
	PublicKeys(ctx context.Context, c provider.Credential) ([]byte, error)
}

// keyTime bounds the question for a server's public keys.
const keyTime = 10 * time.Second

// Inspect tells what is inside the access token of a profile: the one in the
// cache, or a new one. It never returns the token itself. Its errors are of
// type *ipc.Error.
func (a *Agent) Inspect(ctx context.Context, name string, interactive bool) (ipc.Inspection, error) {
	p, bad := a.enter()
	if bad != nil {
		return ipc.Inspection{}, bad
	}
	ctx, done := p.within(ctx)
	defer done()
	t, err := a.Token(ctx, ipc.TokenRequest{Profile: name, Interactive: interactive})
	if err != nil {
		return ipc.Inspection{}, err
	}
	rec, bad := a.find(t.Profile)
	if bad != nil {
		return ipc.Inspection{}, bad
	}
	token := t.AccessToken.Reveal()
	in, isJWT := readJWT(token)
	in.Profile, in.Provider = t.Profile, t.Provider
	in.ServedUntil, in.Remaining = t.ExpiresAt, t.ExpiresIn
	in.ClockSkew = rec.account.skewOf(t)
	if len(in.Scope) == 0 {
		in.Scope = strings.Fields(clean(t.Scope))
	}
	if isJWT {
		in.Signature = a.signature(ctx, rec, token)
	} else {
		in.Signature = ipc.Signature{Status: ipc.SignatureUnchecked, Reason: "the token is opaque: only the server can read it"}
	}
	if p.ended() {
		return ipc.Inspection{}, errLocked
	}
	return in, nil
}

func (a *Agent) signature(ctx context.Context, rec Record, token string) ipc.Signature {
	unchecked := func(why string) ipc.Signature {
		return ipc.Signature{Status: ipc.SignatureUnchecked, Reason: why}
	}
	if a.Verify == nil {
		return unchecked("signatures are not checked here")
	}
	keys, err := a.publicKeys(ctx, rec)
	if errors.Is(err, errNoKeys) {
		return unchecked("no public key is known for servers of provider " + rec.Provider)
	}
	if err != nil {
		return unchecked("the server's public key can't be had: " + wireError(err, rec.account.name).Message)
	}
	switch err := a.Verify(token, keys); {
	case err == nil:
		return ipc.Signature{Status: ipc.SignatureValid}
	case errors.Is(err, provider.ErrSignature):
		return ipc.Signature{Status: ipc.SignatureInvalid, Reason: err.Error()}
	default:
		return unchecked(clean(err.Error()))
	}
}

// errNoKeys: servers of the provider publish none.
var errNoKeys = errors.New("no public key is known for servers of this provider")

// PublicKeys returns the keys that the access tokens of a profile are signed
// with, as the profile's server serves them. Its errors are of type *ipc.Error.
func (a *Agent) PublicKeys(ctx context.Context, name string) ([]byte, error) {
	rec, bad := a.find(name)
	if bad != nil {
		return nil, bad
	}
	keys, err := a.publicKeys(ctx, rec)
	if errors.Is(err, errNoKeys) {
		return nil, errorf(ipc.CodeNotFound, "", "no public key is known for servers of provider %s", rec.Provider)
	}
	if err != nil {
		return nil, wireError(err, rec.account.name)
	}
	return keys, nil
}

func (a *Agent) publicKeys(ctx context.Context, rec Record) ([]byte, error) {
	p, ok := a.Providers[rec.Provider].(KeyPublisher)
	if !ok {
		return nil, errNoKeys
	}
	ctx, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	a.awake(a.Clock.Now())
	return p.PublicKeys(ctx, provider.Credential{Binding: provider.Binding(rec.binding()), CA: []byte(rec.CA)})
}

// aheadOf is how far the server's clock is ahead of this machine's, by the
// Date of an answer that came in at now to a request sent at sent: to the
// second, as Date is, and nothing that the way of the answer may account for.
func aheadOf(date time.Time, sent, now Instant) time.Duration {
	way := max(0, sent.Since(now))
	ahead := date.Add(cut / 2).Sub(sent.Wall.Add(way / 2))
	if ahead.Abs() <= (way+cut)/2 {
		return 0
	}
	return ahead.Round(time.Second)
}

// skewOf is how far the server's clock was ahead when it gave the token, in
// seconds; nil if it is not known any more.
func (acct *account) skewOf(t ipc.Token) *int64 {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	for _, s := range acct.slots {
		if e := s.last; e != nil && e.dated && e.access.Equal(t.AccessToken.Text) {
			seconds := int64(e.ahead / time.Second)
			return &seconds
		}
	}
	return nil
}

// readJWT reads what a JWT (RFC 7519) says, or says that it is none. The
// claims are those that Cloud Services and Cloud Director use; what is not of
// the form that a claim has is left out.
func readJWT(token string) (ipc.Inspection, bool) {
	in := ipc.Inspection{Format: ipc.FormatOpaque}
	times, err := provider.ReadClaims(token)
	if err != nil {
		return in, false
	}
	head, rest, _ := strings.Cut(token, ".")
	body, _, _ := strings.Cut(rest, ".")
	header, ok1 := object(head)
	claims, ok2 := object(body)
	if !ok1 || !ok2 {
		return in, false
	}
	in.Format = ipc.FormatJWT
	in.Algorithm, in.KeyID = header.text("alg"), header.text("kid")
	in.Issuer, in.Subject, in.Domain = claims.text("iss"), claims.text("sub"), claims.text("domain")
	in.Username, in.Acct = claims.text("username", "user_name", "preferred_username"), claims.text("acct")
	in.Org = claims.text("context_name")
	in.ClientID = claims.text("azp", "cid", "client_id")
	in.Audience = claims.list("aud")
	if in.Scope = claims.list("scope"); len(in.Scope) == 1 {
		in.Scope = strings.Fields(in.Scope[0]) // RFC 8693, section 4.2
	}
	in.Groups, in.Permissions = claims.list("group_names"), claims.list("perms")
	in.IssuedAt, in.ExpiresAt = times.IssuedAt, times.ExpiresAt
	return in, true
}

// members are those of a JSON object, unread.
type members map[string]json.RawMessage

func object(part string) (members, bool) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	var m members
	if err != nil || json.Unmarshal(b, &m) != nil || m == nil {
		return nil, false
	}
	return m, true
}

// text returns the first member of these names that is a text.
func (m members) text(names ...string) string {
	for _, name := range names {
		var s string
		if json.Unmarshal(m[name], &s) == nil && s != "" {
			return clean(s)
		}
	}
	return ""
}

// list returns a member that is a list of texts, or one text.
func (m members) list(name string) []string {
	var texts []string
	if s := m.text(name); s != "" {
		return []string{s}
	}
	var raw []json.RawMessage
	if json.Unmarshal(m[name], &raw) != nil {
		return nil
	}
	for _, r := range raw {
		var s string
		if json.Unmarshal(r, &s) == nil && s != "" {
			texts = append(texts, clean(s))
		}
	}
	return texts
}

// clean makes text from elsewhere fit for one line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?' // also what turns the direction of a line
		}
		return r
	}, s)
}
