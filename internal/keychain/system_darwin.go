package keychain

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// macOS is the Keychain, which go-keyring reaches through the program
// security. Since that program is the one that an item trusts, every program of
// the user can have it read the item without a dialog.
type macOS struct{ library }

func newSystem(service string) system { return macOS{library{service}} }

// The exit codes of security are the low 8 bits of an OSStatus
// (Security/SecBase.h).
const (
	exitInteractionNotAllowed = 36  // errSecInteractionNotAllowed, -25308
	exitNoSuchKeychain        = 50  // errSecNoSuchKeychain, -25294
	exitAuthFailed            = 51  // errSecAuthFailed, -25293
	exitNoDefaultKeychain     = 37  // errSecNoDefaultKeychain, -25307
	exitNotAvailable          = 53  // errSecNotAvailable, -25291
	exitUserCanceled          = 128 // errSecUserCanceled, -128
)

// probe implements system. In a session without a screen (ssh, a daemon) it
// can see whether the keychain is locked; in one with a screen it can't, since
// to ask would show a dialog.
func (m macOS) probe(ctx context.Context) provider.StoreState {
	ready := provider.StoreState{Kind: provider.Keychain, Status: provider.StoreReady, Detail: "the macOS Keychain"}
	if _, err := tool(ctx, "/usr/bin/security", "default-keychain"); err != nil {
		if e := m.explain(err); e != nil {
			return e.State
		}
		return unavailable(provider.Keychain, "the macOS Keychain does not answer", "log out and in again", err).State
	}
	session, err := tool(ctx, "/bin/launchctl", "managername")
	if err != nil || bytes.Equal(bytes.TrimSpace(session), []byte("Aqua")) {
		return ready
	}
	if _, err := tool(ctx, "/usr/bin/security", "show-keychain-info"); err != nil {
		if e := m.explain(err); e != nil {
			return e.State
		}
	}
	return ready
}

// tool runs a program without input, until ctx ends.
func tool(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 100 * time.Millisecond
	return cmd.Output()
}

func (macOS) explain(err error) *provider.StoreError {
	const kind = provider.Keychain
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return nil
	}
	switch exit.ExitCode() {
	case exitInteractionNotAllowed:
		return locked(kind, "the keychain is locked, and this session can't show its dialog",
			"unlock it: security unlock-keychain", err)
	case exitUserCanceled:
		return locked(kind, "the keychain's dialog was dismissed", "try again, and answer the dialog", err)
	case exitAuthFailed:
		return locked(kind, "the keychain's password was wrong", "try again, or unlock it: security unlock-keychain", err)
	case exitNoSuchKeychain, exitNoDefaultKeychain:
		return unavailable(kind, "there is no default keychain",
			"make one in Keychain Access", err)
	case exitNotAvailable:
		return unavailable(kind, "no keychain is available in this session",
			"run the agent in a login session", err)
	}
	return nil
}
