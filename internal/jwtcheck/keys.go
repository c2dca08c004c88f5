package jwtcheck

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// maxKeys bounds the keys that are read: servers have one or two.
const maxKeys = 100

// errNoKey: whatever it is, it is no key.
var errNoKey = errors.New("what the server publishes is no public key")

// readKeys reads keys in any of the forms that Verify takes. Keys that are not
// known here, or not for signatures, are left out.
func readKeys(b []byte) ([]key, error) {
	var found []key
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		var doc struct {
			Keys  []json.RawMessage `json:"keys"`
			Value string            `json:"value"`
		}
		if json.Unmarshal(b, &doc) != nil {
			return nil, errNoKey
		}
		for _, raw := range doc.Keys[:min(len(doc.Keys), maxKeys)] {
			// One at a time: a key of an unknown kind must not hide the others.
			var k jose.JSONWebKey
			if json.Unmarshal(raw, &k) == nil && k.IsPublic() && k.Valid() && k.Use != "enc" {
				found = append(found, key{k.KeyID, k.Algorithm, k.Key})
			}
		}
		b = []byte(doc.Value)
	}
	for range maxKeys {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if public := fromPEM(block); public != nil {
			found = append(found, key{public: public})
		}
	}
	if len(found) == 0 {
		return nil, errNoKey
	}
	return found, nil
}

func fromPEM(block *pem.Block) crypto.PublicKey {
	var public crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = c.PublicKey
		}
	}
	if err != nil {
		return nil
	}
	return public
}

// PEMDocument returns the first of the keys that a server publishes as it serves
// one key: PEM in the member value of a JSON object. The keys are in any of the
// forms that Verify takes.
func PEMDocument(keys []byte) ([]byte, error) {
	found, err := readKeys(keys)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(found[0].public)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"value": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
}

// KeySet returns the keys that a server publishes as a JWK set (RFC 7517).
func KeySet(keys []byte) ([]byte, error) {
	found, err := readKeys(keys)
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	for _, k := range found {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: k.algorithm, Use: "sig"})
	}
	return json.Marshal(set)
}
