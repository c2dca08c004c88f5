package upstream

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// System is a kind of server and the secret that it takes, as messages call them.
type System struct {
	Name   string // of the server's product: "Cloud Services"
	Secret string // the stored secret: "API token"
	Wanted string // a clause for who pasted an access token: "an API token is needed, from ..."
	Renew  string // a hint for when the server refuses the secret for good

	RequestID string // the header with the server's name for a call
	XML       bool   // its errors may come in XML
}

// NoSecret is the error of a profile without a secret.
func (s *System) NoSecret() *provider.Error {
	return Fail(provider.Permanent, "no "+s.Secret+" is stored", "run cspctl login", nil)
}

// MaxSecretSize bounds a stored secret, in bytes. Real API tokens have 32 to 65.
const MaxSecretSize = 4096

var jwtLike = regexp.MustCompile(`^eyJ[^.\s]*\.[^.\s]*\.[^.\s]*$`)

// CheckSecret takes a token as people paste it: blanks, line ends, quotes and
// a byte order mark around it are dropped. Its length and alphabet are not
// judged beyond what no such token can be; the errors never repeat it.
func (s *System) CheckSecret(pasted string) (secret.Text, error) {
	tooLong := errors.New("the " + s.Secret + " is too long: paste it alone")
	if len(pasted) > 2*MaxSecretSize {
		return secret.Text{}, tooLong
	}
	pasted = strings.TrimFunc(pasted, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("\"'`\u201c\u201d\u2018\u2019\ufeff\u200b", r)
	})
	words := strings.Fields(pasted)
	switch {
	case pasted == "":
		return secret.Text{}, errors.New("the " + s.Secret + " is empty")
	case len(pasted) > MaxSecretSize:
		return secret.Text{}, tooLong
	case strings.HasPrefix(pasted, provider.StandInPrefix):
		return secret.Text{}, errors.New("this is a stand-in of cspctl exec, which is worth nothing elsewhere: " + s.Wanted)
	case jwtLike.MatchString(words[len(words)-1]):
		return secret.Text{}, errors.New("this is an access token, which lives for minutes: " + s.Wanted)
	case !utf8.ValidString(pasted) || strings.ContainsFunc(pasted, unicode.IsControl):
		return secret.Text{}, errors.New("the " + s.Secret + " holds a line break or control character: paste it alone, on one line")
	}
	return secret.New(pasted), nil
}
