package main

// trustCommand has the user's programs trust the CA in a file.
const trustCommand = "security add-trusted-cert -k login.keychain"

// systemRoots are those that come with the system, without what was added to the
// keychain.
func systemRoots() []byte { return firstRoots([]string{"/etc/ssl/cert.pem"}) }
