package doctor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
)

const busVariable = "DBUS_SESSION_BUS_ADDRESS"

// keychainCheck compares the keychain as the agent sees it with the keychain as
// this shell does: a service may have no session bus where the shell has one
// (T13 to T18, T20). It prompts nobody.
func keychainCheck(ctx context.Context, e *exam) []Finding {
	if e.System {
		return nil // the system has no session, and so no keychain (T20)
	}
	k := keychain.NewKeychain()
	defer func() { _ = k.Close() }()
	here := k.State(ctx)
	if here.Status == provider.StoreUnavailable && ctx.Err() == nil && strings.Contains(here.Detail, "in time") {
		here = k.State(ctx) // the bus may just have started it (T15)
	}
	there, asked := e.storeState(provider.Keychain)
	if asked && here.Status != there.Status && here.Status != provider.StoreUnavailable {
		// The agent remembers what it saw two seconds ago, which may be before
		// somebody locked it, or unlocked it.
		select {
		case <-time.After(2*time.Second + 100*time.Millisecond):
		case <-ctx.Done():
		}
		if st := e.ask().status; st != nil {
			there, _ = stateOf(st, provider.Keychain)
		}
	}
	state := here
	if asked {
		state = there
	}
	user, used := e.uses(provider.Keychain)
	wanted := used || len(e.profiles()) == 0 && e.next(provider.Keychain)
	if state.Status == provider.StoreReady {
		f := ok(state.Detail)
		if asked && here.Status != provider.StoreReady {
			f = f.detail("this shell does not reach it (" + here.Detail + "), the agent does")
		}
		return []Finding{f}
	}
	f := Finding{State: Info, Summary: state.Detail}
	switch {
	case used:
		f.State, f.Summary = Fail, f.Summary+": profile "+user+" has its secret there"
	case wanted:
		f.State = Warn
	default:
		f.Summary += "; no profile keeps its secret there"
		return []Finding{f}
	}
	f.Fix = state.Hint
	if asked && here.Status == provider.StoreReady {
		f.Summary = "the agent does not reach the keychain that this shell reaches: " + state.Detail
		f.Fix = e.handOverBus()
	} else if wanted && !used {
		f.Fix = cmp.Or(f.Fix, "start one") + "; or keep secrets elsewhere: cspctl login --store file"
	}
	if f.Fix == "" {
		f.Fix = "see the keychain's own log, or restart it"
	}
	return []Finding{f}
}

// handOverBus is how the agent comes to know this shell's session bus.
func (e *exam) handOverBus() string {
	if e.ofService() && e.units().Manager == systemdManager {
		return "systemctl --user import-environment " + busVariable + " && " + e.restart()
	}
	return e.restart() + ", from this shell"
}

// storeState is how the agent sees a store; asked is false where none answers.
func (e *exam) storeState(kind string) (s provider.StoreState, asked bool) {
	if st := e.reply().status; st != nil {
		return stateOf(st, kind)
	}
	return s, false
}

func stateOf(st *ipc.Status, kind string) (s provider.StoreState, told bool) {
	for _, store := range st.Stores {
		if store.Kind == kind {
			return provider.StoreState{Kind: kind, Status: provider.StoreStatus(store.Status), Detail: store.Detail, Hint: store.Hint}, true
		}
	}
	return s, false
}

// fileStore looks at the encrypted file and at where its key comes from. It
// decrypts nothing while an agent answers, which has the key.
func fileStore(ctx context.Context, e *exam) []Finding {
	if !e.inside() {
		return nil
	}
	user, used := e.uses(provider.File)
	if !used && !e.next(provider.File) {
		return []Finding{info("not used")}
	}
	state, asked := e.storeState(provider.File)
	if !asked {
		state = keychain.NewFile(keychain.FileOptions{Path: e.Files.Store, CredentialsDir: e.Getenv("CREDENTIALS_DIRECTORY"),
			KeyFile: e.Getenv("CSP_AGENT_STORE_KEY_FILE")}).State(ctx)
	}
	var found []Finding
	if f := e.credential(); f != nil {
		found = append(found, *f)
	}
	switch {
	case state.Status == provider.StoreReady:
		if _, err := os.Stat(e.Files.Store); used && err != nil && !asked {
			found = append(found, fail(e.Files.Store+" is missing, and profile "+user+" has its secret there",
				"restore it from a backup, or: cspctl login "+user+" --store file"))
		}
		return orFine(found, ok(state.Detail))
	case state.Status == provider.StoreLocked && !asked:
		return append(found, info(state.Detail+", as always before the agent runs: cspctl unlock"))
	}
	f := fail(state.Detail, cmp.Or(state.Hint, "cspctl unlock"))
	if !used {
		f.State = Warn
	} else {
		f.Summary += ": profile " + user + " has its secret there"
	}
	return append(found, f)
}

// credential looks for the systemd credential of a service that should have one.
func (e *exam) credential() *Finding {
	dir := e.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, keychain.CredentialName)
	if _, err := os.Stat(path); err != nil {
		f := warn("there is no credential "+keychain.CredentialName+" in "+dir, fmt.Sprintf("LoadCredential=%s:/path/to/key in the unit, then: csp-agent restart", keychain.CredentialName))
		return &f
	}
	return nil
}

// message joins what an error of the wire says with its hint.
func message(e *ipc.Error) string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " (" + e.Hint + ")"
}
