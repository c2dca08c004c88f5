package standin

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/jwtcheck"
)

// details answers as "Get API Token Details" does, with what the server says
// about the API token behind the stand-in, but for the token. Times are in
// seconds, as its schema (ApiTokenDetailsDto) has it.
func (e *endpoint) details(w http.ResponseWriter, _ *http.Request, body []byte) {
	if !e.admit(w, inJSON(body).Get("tokenValue")) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), detailsTime)
	defer cancel()
	d, err := e.run.holder.Details(ctx)
	if err != nil {
		e.fail(w, err)
		return
	}
	answer := map[string]any{
		"tokenId": d.TokenID, "tokenName": d.TokenName, "orgId": d.OrgID, "userId": d.UserID, "username": d.Username,
		"acct": d.Acct, "domain": d.Domain, "idpId": d.IdPID, "scope": d.Scope, "deactivated": d.Deactivated,
		"createdAt": seconds(d.CreatedAt), "lastUsedAt": seconds(d.LastUsedAt), "expiresAt": seconds(d.Expiry.At),
	}
	writeJSON(w, http.StatusOK, answer)
}

const detailsTime = 30 * time.Second

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// keys are the public keys of the profile's server, once they were asked for.
type keys struct {
	mu   sync.Mutex
	at   time.Time
	text []byte
}

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

func (k *keys) get(ctx context.Context, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text != nil && time.Since(k.at) < keysTime {
		return k.text, nil
	}
	text, err := ask(ctx)
	if err == nil {
		k.text, k.at = text, time.Now()
	}
	return text, err
}
