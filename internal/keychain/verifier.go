package keychain

import (
	"runtime/debug"

	"filippo.io/age"

	"github.com/cspctl/cspctl/internal/secret"
)

// NewVerifier returns the check of passphrases against this one, which is not
// kept: what is kept is an empty text that age encrypted with it, and checked
// is whether another opens that (scrypt with a salt, RFC 7914). Making it and
// each check take about half a second and 128 MiB.
func NewVerifier(passphrase secret.Text) (matches func(secret.Text) bool, err error) {
	defer debug.FreeOSMemory() // what scrypt took
	r, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	sealed, err := encryptTo(r, nil)
	if err != nil {
		return nil, err
	}
	return func(other secret.Text) bool {
		defer debug.FreeOSMemory()
		id, err := age.NewScryptIdentity(other.Reveal())
		if err != nil {
			return false
		}
		_, err = decryptWith(sealed, id)
		return err == nil
	}, nil
}
