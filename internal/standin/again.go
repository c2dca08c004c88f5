package standin

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/loopback"
	"github.com/cspctl/cspctl/internal/secret"
)

// ticket is what a run is made from, and what its holder can bring back to an
// agent that is started again. On the wire it is opaque; what comes back is
// nobody's word but the holder's.
type ticket struct {
	StandIn secret.Wire `json:"stand_in"`
	Profile string      `json:"profile"`
	Server  string      `json:"server"`
	Org     string      `json:"org"`
	Port    int         `json:"port"`
	EndsAt  time.Time   `json:"ends_at"`
	CA      []byte      `json:"ca,omitempty"`
	Cert    []byte      `json:"cert,omitempty"`
	Key     secret.Wire `json:"key,omitzero"`
}

func (t ticket) tls() bool { return len(t.CA) > 0 }

func (t ticket) certificates() loopback.Certificates {
	return loopback.Certificates{CA: t.CA, Cert: t.Cert, Key: []byte(t.Key.Reveal())}
}

func (t ticket) text() secret.Wire {
	b, _ := json.Marshal(t) // it has nothing that could fail
	return secret.NewWire(base64.RawURLEncoding.EncodeToString(b))
}

// firstPort is the least that is bound again: the ports below are root's.
const firstPort = 1024

// readTicket reads what text returned, for a profile as it is now.
func readTicket(text string, h Holder, now time.Time) (ticket, *ipc.Error) {
	var t ticket
	bad := func(what string) (ticket, *ipc.Error) {
		return ticket{}, &ipc.Error{Code: ipc.CodeBadRequest, Message: "the run can't go on: " + what, Hint: "start the program again with cspctl exec"}
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &t) != nil {
		return bad("what it was is not readable")
	}
	switch {
	case !isStandIn(t.StandIn.Reveal()), t.Port < firstPort || t.Port > 65535:
		return bad("what it was is not readable")
	case t.Profile != h.Profile:
		return bad("it was of another profile")
	case t.Server != h.Server || t.Org != h.Org:
		return bad("the profile is of another organization now")
	case !t.EndsAt.After(now) || t.EndsAt.Sub(now) > ipc.MaxRunLifetime:
		return bad("its time is over")
	}
	if t.tls() || len(t.Cert) > 0 || !t.Key.IsZero() {
		if err := t.certificates().Check(now); err != nil {
			return bad("its certificate is not one for loopback")
		}
	}
	return t, nil
}
