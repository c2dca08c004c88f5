package standin

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/jwtcheck"
)

// tellDetails answers as "Get API Token Details" does, with what the server says
// about the API token behind the stand-in, but for the token. Times are in
// seconds, as its schema (ApiTokenDetailsDto) has it.
func (e *endpoint) tellDetails(w http.ResponseWriter, r *http.Request, body []byte) {
	if !e.admit(w, inJSON(body).Get("tokenValue")) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), detailsTime)
	defer cancel()
	d, err := e.details.get(ctx, func(ctx context.Context) (ipc.ProfileDetails, error) { return e.run.holder.Details(ctx, e.run.ID) })
	if err != nil {
		e.fail(w, err)
		return
	}
	answer := map[string]any{
		"tokenId": d.TokenID, "tokenName": d.TokenName, "orgId": d.OrgID, "userId": d.UserID, "username": d.Username,
		"acct": d.Acct, "domain": d.Domain, "idpId": d.IdPID, "scope": append([]string{}, d.Scope...), "deactivated": d.Deactivated,
		"createdAt": seconds(d.CreatedAt), "lastUsedAt": seconds(d.LastUsedAt), "expiresAt": seconds(d.Expiry.At),
	}
	if d.Expiry.Never {
		answer["expiresAt"] = math.MaxInt32 // clients warn of 1970 otherwise
	}
	writeJSON(w, http.StatusOK, answer)
}

const detailsTime = 30 * time.Second

// remembered are the details of a moment ago: a client that asks in a loop asks
// no server.
type remembered struct {
	mu   sync.Mutex
	at   time.Time
	last ipc.ProfileDetails
}

func (r *remembered) get(ctx context.Context, ask func(context.Context) (ipc.ProfileDetails, error)) (ipc.ProfileDetails, error) {
	r.mu.Lock()
	last, at := r.last, r.at
	r.mu.Unlock()
	if !at.IsZero() && time.Since(at) < soon {
		return last, nil
	}
	d, err := ask(ctx) // the agent has one such question under way at once, and waits after a failure
	if err == nil {
		r.mu.Lock()
		r.last, r.at = d, time.Now()
		r.mu.Unlock()
	}
	return d, err
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// keys are the public keys of the profile's server, once they were asked for.
type keys struct {
	mu    sync.Mutex
	at    time.Time // of the text, or of its lack
	text  []byte
	err   error
	asked chan struct{} // closed when the question that is under way is answered; nil without one
}

// keysPause is how long a server is left alone that had none: anybody of the
// user's may ask, and without a stand-in.
const keysPause = 10 * time.Second

// keysTime is how long public keys are kept.
const keysTime = 10 * time.Minute

// publicKey answers with the keys that access tokens are signed with: PEM in the
// member value, or a JWK set (RFC 7517) where the query says format=jwks.
func (e *endpoint) publicKey(w http.ResponseWriter, r *http.Request) {
	if e.run.isOver() {
		refuse(w, http.StatusNotFound, "the run is over")
		return
	}
	text, err := e.keys.get(r.Context(), e.run.holder.PublicKeys)
	if err != nil {
		e.fail(w, err)
		return
	}
	answer, err := jwtcheck.PEMDocument(text)
	if r.URL.Query().Get("format") == "jwks" {
		answer, err = jwtcheck.KeySet(text)
	}
	if err != nil {
		refuse(w, http.StatusNotFound, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}

// get returns them. It asks at most once a while, and one question at a time.
func (k *keys) get(ctx context.Context, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	for {
		k.mu.Lock()
		if age := time.Since(k.at); k.text != nil && age < keysTime || k.err != nil && age < keysPause {
			defer k.mu.Unlock()
			return k.text, k.err
		}
		asked := k.asked
		if asked == nil {
			k.asked = make(chan struct{})
			k.mu.Unlock()
			return k.ask(ctx, ask)
		}
		k.mu.Unlock()
		select {
		case <-asked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (k *keys) ask(ctx context.Context, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	text, err := ask(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil || ctx.Err() == nil { // else it was the client that gave up, and the next one asks
		k.text, k.err, k.at = text, err, time.Now()
	}
	close(k.asked)
	k.asked = nil
	return text, err
}
