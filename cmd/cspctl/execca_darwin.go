package main

// trustCommand has the user's programs trust the CA in a file.
const trustCommand = "security add-trusted-cert -k login.keychain"
