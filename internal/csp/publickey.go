package csp

import (
	"context"
	"net/http"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/upstream"
)

const publicKeyPath = "/csp/gateway/am/api/auth/token-public-key"

// PublicKeys asks for the keys that access tokens are signed with, anonymously:
// a JWK set (RFC 7517), or where the server knows no such format, an object
// with PEM in the member value. Its error is a *provider.Error.
func (c *Client) PublicKeys(ctx context.Context, cred provider.Credential) ([]byte, error) {
	return publicKeys(ctx, c.up, cred)
}

// PublicKeys is that of Client: the tokens of apps are signed with the same keys.
func (c *AppClient) PublicKeys(ctx context.Context, cred provider.Credential) ([]byte, error) {
	return publicKeys(ctx, c.up, cred)
}

func publicKeys(ctx context.Context, up *upstream.Client, cred provider.Credential) ([]byte, error) {
	host := ""
	for _, query := range []string{"?format=jwks", ""} {
		r, err := up.Do(ctx, cred, upstream.Call{System: apiToken, Method: http.MethodGet, Path: publicKeyPath + query,
			Clean: upstream.NewCleaner(upstream.RemainSize)})
		if err != nil {
			return nil, err
		}
		host = r.Host
		if e := r.Failure(said(r)); !r.Success() && e.Class == provider.Transient {
			return nil, e
		}
		if !r.Success() || r.TooLong {
			continue
		}
		if b := upstream.Fields(r.Body); b["keys"] != nil || b["value"] != nil {
			return r.Body, nil
		}
	}
	return nil, upstream.Fail(provider.WrongServer, host+" publishes no public key", "", nil)
}
