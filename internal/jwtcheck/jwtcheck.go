// Package jwtcheck checks the signature of a JWT against the public keys that
// its server publishes.
package jwtcheck

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/cspctl/cspctl/internal/provider"
)

// algorithms are those that a public key can check (RFC 7518, section 3.1; RFC
// 8037): never none, and no HMAC, for which anybody could use the public key.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// curves are the ones of the ECDSA algorithms.
var curves = map[jose.SignatureAlgorithm]elliptic.Curve{
	jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
}

// Verify checks the signature of a JWS in compact form (RFC 7515, section 7.1)
// against keys: PEM, a JWK set (RFC 7517), or the answer of Cloud Services, an
// object with PEM in the member value. It returns nil where the signature is
// good, provider.ErrSignature where it is wrong or missing, and an error of one
// line, fit to be shown, where the keys can't tell.
func Verify(token string, keys []byte) error {
	h, err := readHeader(token)
	if err != nil {
		return err
	}
	algorithm := jose.SignatureAlgorithm(h.Algorithm)
	switch {
	case strings.EqualFold(h.Algorithm, "none"):
		return fmt.Errorf("%w: the token is not signed", provider.ErrSignature)
	case !slices.Contains(algorithms, algorithm):
		return fmt.Errorf("no public key can check a signature by %q", printable(h.Algorithm))
	case h.Critical != nil:
		return errors.New("the token uses extensions of its signature that are not known here")
	}
	published, err := readKeys(keys)
	if err != nil {
		return err
	}
	candidates := published
	if h.KeyID != "" {
		candidates = slices.DeleteFunc(slices.Clone(published), func(k key) bool { return k.id != "" && k.id != h.KeyID })
		if len(candidates) == 0 {
			return fmt.Errorf("the server publishes no key with the kid %q", printable(h.KeyID))
		}
	}
	candidates = slices.DeleteFunc(candidates, func(k key) bool { return !k.fits(algorithm) })
	if len(candidates) == 0 {
		return fmt.Errorf("the server's public key is none for %s", algorithm)
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return errors.New("the token is no JWT in compact form")
	}
	for _, k := range candidates {
		if _, err := signed.Verify(k.public); err == nil {
			return nil
		}
	}
	return provider.ErrSignature
}

// header is what matters of the JOSE header (RFC 7515, section 4.1).
type header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Critical  json.RawMessage `json:"crit"`
}

func readHeader(token string) (header, error) {
	var h header
	first, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	if len(token) > provider.MaxTokenSize || err != nil || json.Unmarshal(b, &h) != nil || h.Algorithm == "" {
		return h, errors.New("the token has no header that says how it is signed")
	}
	return h, nil
}

// key is a public key; id may be empty.
type key struct {
	id        string
	algorithm string // empty: any that fits
	public    crypto.PublicKey
}

// fits reports whether the key can check signatures by the algorithm. Bounds
// are those of keys that exist: others only cost time.
func (k key) fits(a jose.SignatureAlgorithm) bool {
	if k.algorithm != "" && k.algorithm != string(a) {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		bits := public.N.BitLen()
		return (strings.HasPrefix(string(a), "RS") || strings.HasPrefix(string(a), "PS")) && 1024 <= bits && bits <= 16384
	case *ecdsa.PublicKey:
		return curves[a] != nil && public.Curve == curves[a]
	case ed25519.PublicKey:
		return a == jose.EdDSA
	}
	return false
}

// printable is a text of the token, cut short; quoted by the caller.
func printable(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
