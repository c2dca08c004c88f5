package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// needy is an agent whose file store has no passphrase.
func needy(t *testing.T) *fakeAgent {
	f := newAgent(t)
	for path, answer := range map[string]any{"/v1/lock": ipc.LockResult{UnlockedBy: ipc.UnlockedByOwn}, "/v1/unlock": struct{}{}} {
		var asked atomic.Bool
		f.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if !asked.Swap(true) {
				sendJSON(w, 423, ipc.Error{Code: ipc.CodePassphraseNotSet, Message: "there is no passphrase", Hint: "set one"})
				return
			}
			sendJSON(w, 200, answer)
		})
	}
	return f
}

func TestLockAndUnlockAskTwiceForAPassphraseToSet(t *testing.T) {
	for _, verb := range []string{"lock", "unlock"} {
		f := needy(t)
		tty := &fakeTTY{secret: "pw"}
		r := shell{agent: f, tty: tty}.run(t, verb)
		r.want(t, 0)
		var body ipc.UnlockRequest
		if err := json.Unmarshal([]byte(f.body("POST /v1/"+verb)), &body); err != nil || body.Passphrase.Reveal() != "pw" || body.Choose != (verb == "unlock") {
			t.Errorf("%s: sent %+v, %v", verb, body, err)
		}
		if len(tty.questions) != 2 || r.stdout != "" {
			t.Errorf("%s: asked %q, printed %q", verb, tty.questions, r.stdout)
		}
		r = shell{agent: needy(t)}.run(t, verb)
		r.want(t, 2, "there is no terminal to ask for the passphrase on", "--passphrase-file")
	}
}

func TestLockSaysWhatUnlocks(t *testing.T) {
	for _, c := range []struct {
		result ipc.LockResult
		want   string
	}{
		{ipc.LockResult{UnlockedBy: ipc.UnlockedByOwn}, ""},
		{ipc.LockResult{UnlockedBy: ipc.UnlockedByStore}, "cspctl: warning: the passphrase of the file store unlocks the agent, and not the one given here\n"},
		{ipc.LockResult{UnlockedBy: ipc.UnlockedByOwn, Already: true}, "cspctl: warning: the agent was locked already: what unlocks it is what did before\n"},
	} {
		f := newAgent(t)
		f.json("POST /v1/lock", c.result)
		r := shell{agent: f, stdin: "pw\n"}.run(t, "lock", "--passphrase-file", "-")
		if r.want(t, 0); r.stderr != c.want || r.stdout != "" {
			t.Errorf("%+v: %q", c.result, r.stderr)
		}
	}
}

// What unlock asks for is what the agent needs.
func TestUnlockAsksForTheRightPassphrase(t *testing.T) {
	for code, question := range map[ipc.Code]string{
		ipc.CodeLocked: "passphrase of the lock: ", ipc.CodeStoreLocked: "passphrase of the file store: ", "": "",
	} {
		f := newAgent(t)
		if code == "" {
			f.json("POST /v1/unlock", struct{}{})
		} else {
			f.refuse("POST /v1/unlock", code, "it is locked", "cspctl unlock")
		}
		tty := &fakeTTY{secret: "pw"}
		r := shell{agent: f, tty: tty}.run(t, "unlock")
		if got := strings.Join(tty.questions, "|"); got != question {
			t.Errorf("%s: asked %q", code, got)
		}
		if code == "" {
			r.want(t, 0, "nothing is locked")
		} else {
			r.want(t, 8)
		}
	}
}

func TestStatusSaysThatTheAgentIsLocked(t *testing.T) {
	f := newAgent(t)
	since := noon.Add(-5 * time.Minute)
	f.json("GET /v1/status", ipc.Status{StartedAt: noon, Locked: true, LockedSince: &since})
	r := shell{agent: f}.run(t, "status")
	if r.want(t, 0); !strings.Contains(r.stdout, "locked 5m ago: nothing is given out; cspctl unlock") {
		t.Errorf("got %q", r.stdout)
	}
}
