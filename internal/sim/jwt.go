package sim

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// accessToken makes a JWT with the claims that clients of CSP read. The life
// is counted in the server's whole seconds and one more, as at CSP (expires_in
// 1799, exp - iat 1800).
func (s *Server) accessToken(q *request, t *token, life time.Duration) string {
	perms := t.Perms
	if len(perms) == 0 {
		perms = []string{"csp:org_member", "external/" + t.id + "/operator"}
	}
	claims := s.claims(q, t, life)
	claims["perms"] = perms
	claims["context"] = t.id
	claims["context_name"] = t.Org
	if n := q.fault.TokenSize; n > 0 {
		// Base64 makes 4 bytes of 3.
		claims["group_names"] = []string{strings.Repeat("g", n*3/4)}
	}
	return s.sign(claims)
}

func (s *Server) idToken(q *request, t *token, life time.Duration) string {
	claims := s.claims(q, t, life)
	claims["email"] = t.User
	claims["context_name"] = t.Org
	return s.sign(claims)
}

func (s *Server) claims(q *request, t *token, life time.Duration) map[string]any {
	iat := q.now.Unix()
	return map[string]any{
		"sub": "example.com:" + t.userID, "azp": "csp_sim_client_id", "aud": "csp_sim_client_id",
		"domain": "example.com", "iss": s.o.Issuer, "username": strings.SplitN(t.User, "@", 2)[0], "acct": t.User,
		"iat": iat, "exp": iat + int64(max(life/time.Second, 1)) + 1, "jti": guid(),
	}
}

// sign makes a JWS in compact form with RS256 (RFC 7515, RFC 7518 section 3.3).
func (s *Server) sign(claims map[string]any) string {
	encode := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // our own values
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	input := encode(map[string]string{"alg": "RS256", "typ": "JWT", "kid": s.keyID()}) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key(), crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // a key of our own making
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (s *Server) publicDER() []byte {
	der, err := x509.MarshalPKIXPublicKey(&s.key().PublicKey)
	if err != nil {
		panic(err)
	}
	return der
}

func (s *Server) keyID() string {
	sum := sha256.Sum256(s.publicDER())
	return hex.EncodeToString(sum[:8])
}

// publicKey answers with the key in PEM, or with a JWK set (RFC 7517) for ?format=jwks.
func (s *Server) publicKey(q *request) answer {
	pub := &s.key().PublicKey
	if q.URL.Query().Get("format") == "jwks" {
		b64 := base64.RawURLEncoding.EncodeToString
		return jsonAnswer(http.StatusOK, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": s.keyID(),
			"n": b64(pub.N.Bytes()), "e": b64(big.NewInt(int64(pub.E)).Bytes()),
		}}})
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.publicDER()})
	return jsonAnswer(http.StatusOK, map[string]string{"alg": "SHA256withRSA", "issuer": s.o.Issuer, "value": string(block)})
}

func (s *Server) openIDConfiguration(q *request) answer {
	scheme := "http"
	if q.TLS != nil {
		scheme = "https"
	}
	base := cmp.Or(q.URL.Scheme, scheme) + "://" + q.Host + cspBase + "/auth"
	return jsonAnswer(http.StatusOK, map[string]any{
		"issuer": s.o.Issuer, "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token",
		"jwks_uri":                              base + "/token-public-key?format=jwks",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}
