package upstream

import (
	"encoding/base64"

	"github.com/cspctl/cspctl/internal/secret"
)

// Basic makes the value of an Authorization header (RFC 7617). It comes with
// what a server could echo of it, for a Cleaner.
func Basic(user, password string) (header string, encoded secret.Text) {
	both := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return "Basic " + both, secret.New(both)
}
