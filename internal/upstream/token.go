package upstream

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

var (
	b64token = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)                           // RFC 6750, section 2.1
	jwtShape = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$`) // RFC 7515, section 7.1
)

// Token reads the answer to a token request (RFC 6749, section 5.1) to which
// the secret sent went along. A refresh_token in it is not even decoded.
func (r Reply) Token(sent secret.Text) (provider.Token, *provider.Error) {
	var none provider.Token
	if r.Form() == HTML {
		return none, r.WebPage()
	}
	if r.TooLong {
		return none, r.Wrong("sent an answer of more than 1 MiB")
	}
	var b struct {
		AccessToken json.RawMessage `json:"access_token"`
		IDToken     json.RawMessage `json:"id_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		Scope       json.RawMessage `json:"scope"`
	}
	var access, id string
	if json.Unmarshal(r.Body, &b) != nil || json.Unmarshal(b.AccessToken, &access) != nil {
		access = ""
	}
	token, failed := r.Bearer(access, sent)
	if failed != nil {
		return none, failed
	}
	_ = json.Unmarshal(b.IDToken, &id) // optional, and only a string is one
	if id != "" && (!jwtShape.MatchString(id) || len(id) > provider.MaxTokenSize || Echoes(id, sent)) {
		id = ""
		if r.log != nil {
			r.log.Warn("the server's ID token is no JWT: dropped", "host", r.Host)
		}
	}
	token.ID = secret.New(id)
	token.Scope = NewCleaner(LabelRemainSize, sent).Label(strings.Join(List(b.Scope), " "), 4096)
	token.ExpiresIn = Lifetime(b.ExpiresIn)
	return token, nil
}

// Bearer makes a Token of an access token, once it has been seen to be one.
func (r Reply) Bearer(access string, sent secret.Text) (provider.Token, *provider.Error) {
	switch {
	case access == "":
		return provider.Token{}, r.Wrong("sent an answer without an access token")
	case len(access) > provider.MaxTokenSize:
		return provider.Token{}, r.Wrong("sent an access token of more than 64 KiB")
	case !b64token.MatchString(access):
		return provider.Token{}, r.Wrong("sent an access token with characters that tokens can't have")
	case Echoes(access, sent):
		return provider.Token{}, r.Wrong("sent the " + r.System.Secret + " back in place of an access token")
	}
	claims, _ := provider.ReadClaims(access) // an opaque token has none
	return provider.Token{
		Access:     secret.New(access),
		Type:       "Bearer",
		IssuedAt:   claims.IssuedAt,
		ExpiresAt:  claims.ExpiresAt,
		ServerTime: r.ServerTime(),
	}, nil
}

// Echoes reports whether a token holds the stored secret: served, it would
// hand out what must never leave (P1).
func Echoes(token string, sent secret.Text) bool {
	return sent.Len() >= LabelRemainSize && strings.Contains(token, sent.Reveal())
}
