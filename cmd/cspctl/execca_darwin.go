package main

// trustCommand has the user's programs trust the CA in a file, distrustCommand no
// longer that of a name.
const (
	trustCommand    = "security add-trusted-cert -k login.keychain"
	distrustCommand = "security delete-certificate -t -c"
)
