package keychain

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/provider"
)

// failure explains why a call failed; before is what the probe found.
func (k *Keychain) failure(p provider.Prompt, before provider.StoreState, err error) *provider.StoreError {
	const kind = provider.Keychain
	switch {
	case errors.Is(err, errStuck):
		return unavailable(kind, "an earlier call to the keychain has not come back",
			"answer a dialog of the keychain that may be open, or restart the keychain, or log out and in again", err)
	case errors.Is(err, errBusy):
		return unavailable(kind, "the keychain is busy: another call is waiting for its answer",
			"answer the keychain's dialog, then try again", err)
	case errors.Is(err, errTimeout) && errors.Is(err, context.Canceled):
		return unavailable(kind, "the call to the keychain was cancelled", "", err)
	case errors.Is(err, errTimeout) && before.Status == provider.StoreLocked:
		return locked(kind, "the keychain is locked, and nobody answered its dialog",
			"try again, and enter the keychain's password in its dialog", err)
	case errors.Is(err, errTimeout):
		return unavailable(kind, fmt.Sprintf("the keychain did not answer within %v", k.patience(p)),
			"answer a dialog of the keychain that may be open, or restart the keychain, or log out and in again", err)
	case errors.Is(err, errLocked):
		return locked(kind, "the profile's item in the keychain is locked", lockedHint, err)
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return unavailable(kind, "the secret is longer than this keychain can hold",
			"keep it in the encrypted file: cspctl login --store file", err)
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return unavailable(kind, "this build of the program can't use a keychain on this system",
			"keep secrets in the encrypted file: cspctl login --store file", err)
	case errors.Is(err, errNotKept):
		return unavailable(kind, errNotKept.Error(), "unlock it and try again, or see its own log", err)
	}
	if e := k.sys.explain(err); e != nil {
		return e
	}
	// The keychain as it is now may say it better than the library's error.
	ctx, cancel := context.WithTimeout(k.ctx, statePatience)
	defer cancel()
	switch now := k.sys.probe(ctx); now.Status {
	case provider.StoreLocked:
		return locked(kind, "the keychain stays locked: its dialog was dismissed, or the password was wrong",
			"try again, and enter the keychain's password in its dialog", err)
	case provider.StoreUnavailable:
		return &provider.StoreError{State: now, Err: err}
	}
	return unavailable(kind, "the keychain failed: "+oneLine(err.Error()), "see its own log, or restart it", err)
}

const lockedHint = "unlock it: log in to the desktop, or run cspctl token in a terminal and answer the keychain's dialog"

// oneLine makes a foreign error fit to be shown: no control characters, cut to
// length, without the full stop of Windows.
func oneLine(s string) string {
	const most = 200
	r := []rune(strings.TrimSuffix(s, "."))
	for i, c := range r {
		if c < ' ' || c == 0x7f {
			r[i] = ' '
		}
	}
	if len(r) > most {
		r = append(r[:most], []rune("...")...)
	}
	return string(r)
}
