package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"
)

// MaxTokenSize bounds an access token, in bytes. CSP lets an OAuth app cap its
// tokens at 9,000 characters (maxCharactersInAccessToken); long permission
// lists reach several KB.
const MaxTokenSize = 64 << 10

// Claims are the registered claims of a JWT (RFC 7519, section 4.1) that bear
// on its life. The signature is not checked: the token came from its issuer
// over TLS, and is passed on, not relied on.
type Claims struct {
	IssuedAt  time.Time // iat; zero if missing
	ExpiresAt time.Time // exp; zero if missing
}

var errNotJWT = errors.New("not a JWT")

// ReadClaims reads the claims of a JWS in compact form (RFC 7515, section 7.1).
func ReadClaims(token string) (Claims, error) {
	var c Claims
	if len(token) > MaxTokenSize {
		return c, errNotJWT
	}
	// Cut, not Split: a token of nothing but dots must not cost memory.
	_, rest, ok1 := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(signature, ".") {
		return c, errNotJWT
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return c, errNotJWT
	}
	var raw struct {
		IssuedAt  json.RawMessage `json:"iat"`
		ExpiresAt json.RawMessage `json:"exp"`
	}
	if json.Unmarshal(b, &raw) != nil {
		return c, errNotJWT
	}
	c.IssuedAt, c.ExpiresAt = numericDate(raw.IssuedAt), numericDate(raw.ExpiresAt)
	return c, nil
}

// numericDate reads a NumericDate (RFC 7519, section 2): seconds since 1970,
// possibly with a fraction. Anything else is the zero time.
func numericDate(raw json.RawMessage) time.Time {
	var seconds float64
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &seconds) != nil {
		return time.Time{}
	}
	const year9999 = 253402300799
	if seconds <= 0 || seconds > year9999 {
		return time.Time{}
	}
	whole, frac := math.Modf(seconds)
	return time.Unix(int64(whole), int64(frac*1e9)).UTC()
}
