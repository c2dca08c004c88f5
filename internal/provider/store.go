package provider

import "errors"

// The kinds of store that profiles can name.
const (
	Keychain = "keychain" // the keychain of the operating system
	File     = "file"     // an age-encrypted file
	Memory   = "memory"   // the agent's memory: gone when it ends
)

// Prompt says whether a store may show a dialog to the person at the machine.
// It may only where that person has just asked for something.
type Prompt bool

const (
	NoPrompt  Prompt = false
	MayPrompt Prompt = true
)

// StoreState is the condition of a store.
type StoreState struct {
	Kind   string // Keychain, File or Memory
	Status StoreStatus
	Detail string // one line: what was found, for people
	Hint   string // one line: what to do; empty when nothing is
}

// StoreStatus is the part of StoreState that programs look at.
type StoreStatus string

const (
	StoreReady       StoreStatus = "ready"
	StoreLocked      StoreStatus = "locked"      // needs a passphrase or a person
	StoreUnavailable StoreStatus = "unavailable" // not there, or not answering
)

// ErrNoSecret: the store works, and has no item for the profile.
var ErrNoSecret = errors.New("no secret is stored for this profile")

// ErrWrongPassphrase is in the chain of the error with which a store answers a
// wrong one.
var ErrWrongPassphrase = errors.New("wrong passphrase")

// StoreError is a store that could not be used. Its text is fit to be shown.
type StoreError struct {
	State StoreState // Status is StoreLocked or StoreUnavailable
	Err   error      // the cause; may be nil
}

func (e *StoreError) Error() string { return e.State.Detail }
func (e *StoreError) Unwrap() error { return e.Err }
