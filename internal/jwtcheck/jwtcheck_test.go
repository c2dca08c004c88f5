package jwtcheck_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cspctl/cspctl/internal/jwtcheck"
	"github.com/cspctl/cspctl/internal/provider"
)

// keys are made once: RSA keys take a while.
var keys = sync.OnceValue(func() (k struct {
	rsa, other *rsa.PrivateKey
	p256, p384 *ecdsa.PrivateKey
	ed         ed25519.PrivateKey
}) {
	k.rsa, k.other = made(rsa.GenerateKey(rand.Reader, 2048)), made(rsa.GenerateKey(rand.Reader, 2048))
	k.p256, k.p384 = made(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), made(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

func made[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sign makes a token; kid may be empty.
func sign(a jose.SignatureAlgorithm, k any, kid string) string {
	s := made(jose.NewSigner(jose.SigningKey{Algorithm: a, Key: jose.JSONWebKey{Key: k, KeyID: kid}}, nil))
	return made(made(s.Sign([]byte(`{"sub":"somebody"}`))).CompactSerialize())
}

func inPEM(public crypto.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: made(x509.MarshalPKIXPublicKey(public))})
}

func inCSP(public crypto.PublicKey) []byte {
	return made(json.Marshal(map[string]string{"alg": "SHA256withRSA", "value": string(inPEM(public))}))
}

func inSet(jwks ...jose.JSONWebKey) []byte {
	return made(json.Marshal(jose.JSONWebKeySet{Keys: jwks}))
}

// forged replaces the header of a token.
func forged(token, header string) string {
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

func TestVerify(t *testing.T) {
	k := keys()
	rs := sign(jose.RS256, k.rsa, "one")
	one := jose.JSONWebKey{Key: k.rsa.Public(), KeyID: "one", Algorithm: "RS256", Use: "sig"}
	head, rest, _ := strings.Cut(rs, ".")
	_, signature, _ := strings.Cut(rest, ".")
	changed := head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"another"}`)) + "." + signature
	pub := func(k crypto.Signer) crypto.PublicKey { return k.Public() }
	hmac := sign(jose.HS256, inPEM(pub(k.rsa)), "one") // the public key as HMAC's secret

	for _, c := range []struct {
		name, token string
		keys        []byte
		want        string // "": valid; "invalid"; else part of why it can't be told
	}{
		{"PEM", rs, inPEM(pub(k.rsa)), ""},
		{"the answer of Cloud Services", rs, inCSP(pub(k.rsa)), ""},
		{"JWK set", rs, inSet(one), ""},
		{"one of two", rs, inSet(jose.JSONWebKey{Key: k.p256.Public(), KeyID: "two"}, one), ""},
		{"no kid anywhere", sign(jose.RS256, k.rsa, ""), inSet(jose.JSONWebKey{Key: k.rsa.Public()}), ""},
		{"no kid in the token", sign(jose.RS256, k.rsa, ""), inSet(jose.JSONWebKey{Key: k.other.Public(), KeyID: "two"}, one), ""},
		{"an unknown kind beside it", rs, []byte(`{"keys":[{"kty":"MAGIC","kid":"one"},` + strings.TrimPrefix(string(inSet(one)), `{"keys":[`)), ""},
		{"PS512", sign(jose.PS512, k.rsa, ""), inPEM(pub(k.rsa)), ""},
		{"ES256", sign(jose.ES256, k.p256, ""), inPEM(pub(k.p256)), ""},
		{"ES384", sign(jose.ES384, k.p384, ""), inPEM(pub(k.p384)), ""},
		{"EdDSA", sign(jose.EdDSA, k.ed, ""), inPEM(k.ed.Public()), ""},

		{"another key", rs, inPEM(pub(k.other)), "invalid"},
		{"another key of that kid", rs, inSet(jose.JSONWebKey{Key: k.other.Public(), KeyID: "one"}), "invalid"},
		{"other claims", changed, inPEM(pub(k.rsa)), "invalid"},
		{"no signature", head + "." + strings.Split(rs, ".")[1] + ".", inPEM(pub(k.rsa)), "invalid"},
		{"alg none", forged(rs, `{"alg":"none"}`), inPEM(pub(k.rsa)), "invalid"},
		{"alg NonE, no signature", forged(head+"."+strings.Split(rs, ".")[1]+".", `{"alg":"NonE"}`), inPEM(pub(k.rsa)), "invalid"},

		{"HMAC by the public key", hmac, inPEM(pub(k.rsa)), `no public key can check a signature by "HS256"`},
		{"HMAC, and an oct key published", hmac, inSet(jose.JSONWebKey{Key: inPEM(pub(k.rsa)), KeyID: "one"}), `"HS256"`},
		{"unknown algorithm", forged(rs, `{"alg":"X\u001b[2J`+strings.Repeat("x", 99)+`"}`), inPEM(pub(k.rsa)), `"X\x1b[2Jxxx`},
		{"critical extensions", forged(rs, `{"alg":"RS256","crit":["x"],"x":1}`), inPEM(pub(k.rsa)), "extensions"},
		{"unknown kid", sign(jose.RS256, k.rsa, "new"), inSet(one), `no key with the kid "new"`},
		{"a key of another kind", sign(jose.ES256, k.p256, ""), inPEM(pub(k.rsa)), "none for ES256"},
		{"another curve", sign(jose.ES256, k.p256, ""), inPEM(pub(k.p384)), "none for ES256"},
		{"a key for another algorithm", sign(jose.RS512, k.rsa, "one"), inSet(one), "none for RS512"},
		{"an encryption key", rs, inSet(jose.JSONWebKey{Key: k.rsa.Public(), KeyID: "one", Use: "enc"}), "no public key"},
		{"a private key", rs, inSet(jose.JSONWebKey{Key: k.rsa, KeyID: "one"}), "no public key"},
		{"an empty set", rs, []byte(`{"keys":[]}`), "no public key"},
		{"HTML", rs, []byte("<html>"), "no public key"},
		{"nothing", rs, nil, "no public key"},
		{"opaque", "opaque", inPEM(pub(k.rsa)), "no header"},
		{"two parts", strings.Join(strings.Split(rs, ".")[:2], "."), inPEM(pub(k.rsa)), "no JWT"},
		{"too long", rs + strings.Repeat("A", provider.MaxTokenSize), inPEM(pub(k.rsa)), "no header"},
	} {
		err := jwtcheck.Verify(c.token, c.keys)
		switch {
		case c.want == "" && err == nil, c.want == "invalid" && errors.Is(err, provider.ErrSignature):
		case c.want == "" || c.want == "invalid" || err == nil || errors.Is(err, provider.ErrSignature) || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		case strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 200:
			t.Errorf("%s: not fit to be shown: %q", c.name, err)
		}
	}
}

// No token is good by keys that none of them was signed with. The keys are
// quick to make: each of the fuzzer's processes makes its own.
func FuzzVerify(f *testing.F) {
	signer := made(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := made(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	token := sign(jose.ES256, signer, "one")
	f.Add(token, inPEM(other.Public()))
	f.Add(token, inSet(jose.JSONWebKey{Key: other.Public(), KeyID: "one"}))
	f.Add(forged(token, `{"alg":"none"}`), inCSP(other.Public()))
	f.Add("a.b.c", []byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, token string, published []byte) {
		err := jwtcheck.Verify(token, published)
		if err == nil {
			t.Fatalf("%q is good by %q", token, published)
		}
		if strings.ContainsAny(err.Error(), "\r\n\x1b") {
			t.Errorf("not one line: %q", err)
		}
	})
}
