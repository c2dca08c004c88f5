package keychain

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/cspctl/cspctl/internal/provider"
)

// T16: -25308 over ssh is a locked keychain, not a missing item.
func TestT16ExitCodesOfSecurity(t *testing.T) {
	for code, want := range map[int]provider.StoreStatus{
		exitInteractionNotAllowed: provider.StoreLocked,
		exitUserCanceled:          provider.StoreLocked,
		exitAuthFailed:            provider.StoreLocked,
		exitNoSuchKeychain:        provider.StoreUnavailable,
		exitNoDefaultKeychain:     provider.StoreUnavailable,
		exitNotAvailable:          provider.StoreUnavailable,
		44:                        "", // errSecItemNotFound, which go-keyring knows
	} {
		err := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", code)).Run()
		got := macOS{}.explain(errors.Join(errors.New("set"), err))
		if want == "" && got != nil || want != "" && (got == nil || got.State.Status != want || got.State.Hint == "") {
			t.Errorf("exit %d: got %+v, want %q", code, got, want)
		}
	}
}
