package provider

import (
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/secret"
)

// ProxyToken is the token of a Cloud Director session that opens its proxies,
// those of dedicated vCenter Servers and NSX Managers: it is a password there,
// and no bearer token (type Token of the Cloud Director OpenAPI).
type ProxyToken struct {
	Token secret.Text // printable ASCII without spaces

	ID   string
	Name string
	Type string // "PROXY" or "EXTENSION"

	ExpiresAt       time.Time // zero: the server said none
	RequireRotation *bool     // nil: it was not said; it concerns refresh tokens alone

	Owner    Reference
	Org      Reference
	Username string
	UserID   string
}

// Reference names a thing of the server's. Either field may be empty.
type Reference struct{ Name, ID string }

// ErrNoProxyToken is returned by systems that have no proxy tokens.
var ErrNoProxyToken = errors.New("this system has no proxy tokens")
