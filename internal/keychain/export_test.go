package keychain

// CheapScrypt makes the passphrase of a file store quick to try.
func CheapScrypt(o FileOptions) FileOptions {
	o.workFactor = 1
	return o
}
