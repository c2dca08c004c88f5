// Package sim simulates the endpoints of VMware Cloud Services and of Cloud
// Director that give access tokens, as real clients use them: for tests, for
// the demo, and for people who test their own scripts. Faults can be switched on at run time,
// requests are counted, and misuse of the API is recorded as violations.
//
// A [Server] is an http.Handler. Its control plane is the Go API here and the
// same over HTTP under /_sim/ (see cmd/csp-sim/README.md).
package sim

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"time"
)

// DefaultLife is what CSP states as expires_in: half an hour less a second.
const DefaultLife = 1799 * time.Second

// maxRequest bounds a request's body, in bytes.
const maxRequest = 1 << 20

// Options adjust a Server. The zero value is usable.
type Options struct {
	Life   time.Duration    // of access tokens; default DefaultLife
	Issuer string           // claim iss; default https://gaz.csp-sim.invalid, not the console's host, as at CSP
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default none; one line per request, never a secret
}

// Server is the simulator. It may be used by several goroutines.
type Server struct {
	o   Options
	mux *http.ServeMux
	key func() *rsa.PrivateKey // made at first use

	mu       sync.Mutex
	tokens   map[string]*token // by name
	apps     map[string]*app
	vcd      director
	handed   map[string]bool // the refresh_token values of answers
	faults   []*activeFault
	stats    Stats
	changed  chan struct{} // closed and replaced at every arrival and grant
	released chan struct{} // closed and replaced by Release
}

// New returns a simulator that knows no API token yet.
func New(o Options) *Server {
	if o.Life <= 0 {
		o.Life = DefaultLife
	}
	if o.Issuer == "" {
		o.Issuer = "https://gaz.csp-sim.invalid"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o: o, mux: http.NewServeMux(), key: sync.OnceValue(newKey),
		tokens: map[string]*token{}, handed: map[string]bool{},
		changed: make(chan struct{}), released: make(chan struct{}),
	}
	s.apps, s.vcd = map[string]*app{}, newDirector()
	s.ResetStats()
	s.controlRoutes()
	s.cspRoutes()
	s.appRoutes()
	s.vcdRoutes()
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Some clients' base URL ends in a slash. CSP answers //csp/... as well; a
	// redirect would be followed with the secret in the body.
	if clean := path.Clean("/" + r.URL.Path); clean != r.URL.Path {
		r.URL.Path, r.URL.RawPath = clean, ""
	}
	s.mux.ServeHTTP(w, r)
}

// request is one call to an endpoint.
type request struct {
	*http.Request
	endpoint string
	body     []byte
	now      time.Time // with the clock skew of a fault
	fault    Fault
	// generation tells which of the values of a rotating token came along.
	generation *int
	released   <-chan struct{} // ends Fault.Hang
}

// answer is what an endpoint says, before faults spoil it.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// endpoint answers requests. who is the name of the API token that the request
// concerns, found by the endpoint's identify.
type endpoint struct {
	name     string
	identify func(*request) (who string)
	answer   func(*request) answer
}

// handle adds an endpoint for a ServeMux pattern. Other families of endpoints
// are added the same way, each in its own file.
func (s *Server) handle(pattern string, e endpoint) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		// Bodies are read to the end, those of GET as well: clients send them.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			http.Error(w, "the request's body can't be read", http.StatusBadRequest)
			return
		}
		q := &request{Request: r, endpoint: e.name, body: body}
		who := ""
		if e.identify != nil {
			who = e.identify(q)
		}
		s.arrive(q, who)
		q.now = s.o.Now().Add(time.Duration(q.fault.Skew))
		if !q.fault.After && !stall(q) {
			panic(http.ErrAbortHandler)
		}
		a, spoiled := q.fault.instead(q)
		if q.fault.After || !spoiled {
			if own := e.answer(q); !spoiled {
				a = own
			}
		}
		if q.fault.After && !stall(q) {
			panic(http.ErrAbortHandler)
		}
		s.o.Log.Info("request", "endpoint", e.name, "token", who, "status", a.status)
		q.fault.send(w, q, a)
	})
}

// arrive counts the request and picks its faults.
func (s *Server) arrive(q *request, who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.count(q, who)
	close(s.changed)
	s.changed = make(chan struct{})
	// Taken together with the count: whoever waited for the arrival can release it.
	q.released = s.released
	q.fault = s.pickFault(q.endpoint, who)
}

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// guid returns a random UUID, version 4 (RFC 9562).
func guid() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// randomWord returns n random letters and digits, the form of Cloud Director's
// API tokens.
func randomWord(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// randomSecret returns 64 characters of the alphabet of real API tokens, with
// at least one dash and one underscore.
func randomSecret() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for {
		b := make([]byte, 64)
		rand.Read(b)
		for i := range b {
			b[i] = alphabet[b[i]%64]
		}
		// Not first: it would look like a flag.
		if b[0] != '-' && bytes.ContainsRune(b, '-') && bytes.ContainsRune(b, '_') {
			return string(b)
		}
	}
}
