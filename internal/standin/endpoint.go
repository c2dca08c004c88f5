package standin

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/cspctl/cspctl/internal/ipc"
)

// base is where Cloud Services serves these.
const base = "/csp/gateway/am/api/auth/"

// endpoint is the http.Handler of a run: the part of Cloud Services' interface
// that clients exchange API tokens with. It takes them in every form in which
// public clients send them, and answers as Cloud Services does.
type endpoint struct {
	run   *Run
	pace  *rate.Limiter // of the stand-in
	wrong *rate.Limiter // of whatever else is tried

	mu       sync.Mutex
	answered time.Time // when the stand-in was last exchanged

	keys    keys
	details remembered
}

// The rates of an endpoint. Clients have been seen to exchange some hundred times
// in a row where a server went on refusing what they got.
const (
	perSecond, burst = 20, 100
	wrongPerMinute   = 10
)

func newEndpoint(run *Run) *endpoint {
	return &endpoint{run: run, pace: rate.NewLimiter(perSecond, burst), wrong: rate.NewLimiter(rate.Every(time.Minute/wrongPerMinute), wrongPerMinute)}
}

// soon is how long after an answer another request means that a server refused
// what the answer held.
const soon = time.Minute

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// A page in a browser, or a name that somebody's DNS has point here.
	// Sec-Fetch-Mode alone is sent by programs, too: by the fetch of Node.js.
	site := r.Header.Get("Sec-Fetch-Site")
	if !e.isHost(r.Host) || r.Header["Origin"] != nil || site != "" && site != "none" {
		e.run.refused(ReasonBrowser)
		refuse(w, http.StatusForbidden, "this endpoint is for programs on this machine that cspctl runs")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ipc.MaxRequestBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, "the request's body could not be read, or is over 64 KiB")
		return
	}
	// Some clients have a base that ends in a slash.
	switch at := path.Clean("/" + r.URL.Path); {
	case r.Method == http.MethodPost && (at == base+"api-tokens/authorize" || at == base+"authorize" || at == base+"token"):
		e.exchange(w, r, body)
	case r.Method == http.MethodPost && at == base+"api-tokens/details":
		e.tellDetails(w, r, body)
	case r.Method == http.MethodGet && at == base+"token-public-key":
		e.publicKey(w, r)
	default:
		refuse(w, http.StatusNotFound, "csp-agent serves the exchange of tokens here and nothing else of Cloud Services: "+base+"...")
	}
}

func (e *endpoint) isHost(host string) bool {
	_, port, _ := net.SplitHostPort(e.run.HostPort)
	return host == e.run.HostPort || host == net.JoinHostPort("localhost", port)
}

// admit reports whether a request has the stand-in, and answers it if not.
func (e *endpoint) admit(w http.ResponseWriter, tried string) bool {
	switch {
	case e.run.isOver():
		refuse(w, http.StatusBadRequest, "invalid_grant: the run of this stand-in is over: start the program again with cspctl exec")
	case !e.run.StandIn.Text.Equal(secretOf([]byte(tried))):
		e.run.refused(ReasonBadStandIn)
		if wait := waitFor(e.wrong); wait > 0 {
			refuseUntil(w, http.StatusTooManyRequests, "too many requests without the stand-in of this run", wait)
			break
		}
		refuse(w, http.StatusBadRequest, "invalid_grant: Invalid refresh token: it is not the stand-in of this run (cspctl exec gives it)")
	default:
		if wait := waitFor(e.pace); wait > 0 {
			refuseUntil(w, http.StatusTooManyRequests, "the stand-in is exchanged too often", wait)
			break
		}
		return true
	}
	return false
}

// waitFor takes a place, or returns how long it is until there is one. (A
// reservation that is cancelled costs those that were made after it.)
func waitFor(l *rate.Limiter) time.Duration {
	if l.Allow() {
		return 0
	}
	missing := max(0, 1-l.Tokens())
	return max(time.Millisecond, time.Duration(missing/float64(l.Limit())*float64(time.Second)))
}

// exchange answers with an access token, as "Get Access Token By Api Refresh
// Token" and "Authorize" of Cloud Services do.
func (e *endpoint) exchange(w http.ResponseWriter, r *http.Request, body []byte) {
	tried, app := credentialOf(r, body)
	if !e.admit(w, tried) {
		return
	}
	t, err := e.run.holder.Token(r.Context(), e.run.ID, e.maxAge())
	if err != nil {
		e.fail(w, err)
		return
	}
	if e.run.isOver() { // since it was asked for
		refuse(w, http.StatusBadRequest, "invalid_grant: the run of this stand-in is over")
		return
	}
	e.mu.Lock()
	e.answered = time.Now()
	e.mu.Unlock()
	answer := map[string]any{
		"access_token": t.AccessToken.Reveal(),
		"token_type":   "bearer", // in lower case, as Cloud Services has it
		"expires_in":   t.ExpiresIn,
		"scope":        t.Scope,
	}
	if t.ExpiresAt.IsZero() {
		answer["expires_in"] = int64(unknownLife / time.Second)
	}
	if t.Scope == "" { // some clients take no token without one
		answer["scope"] = "openid"
	}
	if !app {
		// Clients keep it as their next API token.
		answer["refresh_token"] = e.run.StandIn.Reveal()
	}
	writeJSON(w, http.StatusOK, answer)
}

// maxAge is what a token may have behind it: some clients never ask again after
// the first time, and one that asks again soon was refused what it got.
func (e *endpoint) maxAge() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.answered.IsZero():
		return ipc.AgeAtStart
	case time.Since(e.answered) < soon:
		return soon.String()
	}
	return ""
}

// unknownLife is what is said of a token whose server did not say how long it
// lives: the client asks again soon.
const unknownLife = time.Minute

// fail answers with an error of the agent's. Only what is final is an
// invalid_grant, after which clients give up.
func (e *endpoint) fail(w http.ResponseWriter, err error) {
	bad := asError(err)
	text := bad.Message
	if bad.Hint != "" {
		text += " (" + bad.Hint + ")"
	}
	retry := time.Duration(max(bad.Retry, 1)) * time.Second
	if bad == ErrNotForUser {
		refuse(w, http.StatusBadRequest, "invalid_grant: "+text)
		_ = http.NewResponseController(w).Flush() // the end closes the connection
		e.run.Withdraw()
		return
	}
	switch bad.Code {
	case ipc.CodeNoSuchProfile, ipc.CodeNotLoggedIn:
		refuse(w, http.StatusBadRequest, "invalid_grant: "+text)
		_ = http.NewResponseController(w).Flush()
		e.run.stop(ipc.RunEndedLogout, "the profile was logged out")
	case ipc.CodeRefused, ipc.CodePasscodeNeeded:
		refuse(w, http.StatusBadRequest, "invalid_grant: "+text)
	case ipc.CodeNoDetails, ipc.CodeNotFound:
		refuse(w, http.StatusNotFound, text)
	case ipc.CodeNotAllowed:
		refuse(w, http.StatusForbidden, text)
	case ipc.CodeBusy, ipc.CodeRateLimited:
		refuseUntil(w, http.StatusTooManyRequests, text, retry)
	default:
		refuseUntil(w, http.StatusServiceUnavailable, text, retry)
	}
}

// refuse answers with an error in the form that Cloud Services has for them.
func refuse(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{
		"metadata": nil, "traceId": "", "requestId": "", "statusCode": status, "message": message,
		"moduleCode": 540, "cspErrorCode": "540.120-340.800", // as of captured refusals; an integer, which clients insist on
	})
}

func refuseUntil(w http.ResponseWriter, status int, message string, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	refuse(w, status, message)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"message":"the answer could not be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone needs no answer
}

// refused puts on record, once in a run, that something was turned away.
func (run *Run) refused(reason string) {
	run.mu.Lock()
	said := run.said[reason]
	if run.said == nil {
		run.said = map[string]int{}
	}
	run.said[reason]++
	run.mu.Unlock()
	if said == 0 {
		run.log.Warn("a local endpoint turned a request away; further ones of this run are counted", "run", run.ID, "profile", run.Profile, "reason", reason)
		run.holder.Refused(run.ID, reason)
	}
}
