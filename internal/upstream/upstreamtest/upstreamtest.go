// Package upstreamtest is what the tests of the upstream clients share:
// secrets that are none, servers that answer as told, and the checks that hold
// for every text shown to people.
package upstreamtest

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/sim"
)

// Secret looks like an API token and shares no four characters with any text of ours.
var Secret = "Zq9" + strings.Repeat("Wx7-", 12) + "Kv2_Jj5Pp8Qz"

// JWT has the shape of an access token.
func JWT() string {
	return "eyJ" + strings.Repeat("hbGc", 5) + "." + strings.Repeat("e30x", 20) + "." + strings.Repeat("c2ln", 10)
}

// NoRemains fails the test if s shows size bytes in a row of a secret (P1).
func NoRemains(t testing.TB, what, s, hidden string, size int) {
	t.Helper()
	low, hidden := lower(s), lower(hidden)
	n := min(size, len(hidden))
	if n == 0 {
		return
	}
	for i := range len(hidden) - n + 1 {
		if strings.Contains(low, hidden[i:i+n]) {
			t.Errorf("%s shows %q of the secret: %q", what, hidden[i:i+n], s)
			return
		}
	}
}

// lower changes ASCII alone, and so keeps the length.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Presentable fails the test unless s is one line of printable text.
func Presentable(t testing.TB, s string) {
	t.Helper()
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not one line of printable text: %q", s)
	}
}

// MustFail checks what holds for every error: its type and class, its form,
// and that neither it nor the log shows a remain of Secret (P1).
func MustFail(t testing.TB, err error, class provider.Class, log string) *provider.Error {
	t.Helper()
	e, ok := provider.AsError(err)
	if !ok {
		t.Fatalf("got %v, want a provider.Error", err)
	}
	if e.Class != class {
		t.Errorf("class %v, want %v: %s", e.Class, class, e.Message)
	}
	for _, s := range []string{e.Message, e.Hint, e.Code, e.RequestID, log} {
		NoRemains(t, "the error", s, Secret, 4)
	}
	if e.Message == "" || strings.ContainsAny(e.Message+e.Hint, "\r\n") || strings.HasSuffix(e.Message, ".") {
		t.Errorf("message %q, hint %q", e.Message, e.Hint)
	}
	return e
}

// Say answers every request with the same.
func Say(status int, contentType, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// SayJSON is Say with JSON.
func SayJSON(status int, body string, headers ...string) http.HandlerFunc {
	return Say(status, "application/json", body, headers...)
}

// DeadAddress is an address where nobody listens.
func DeadAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Secure serves h over TLS, for hosts, with a CA of its own, and returns the
// CA's PEM.
func Secure(t testing.TB, h http.Handler, hosts ...string) (*httptest.Server, []byte) {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // refused handshakes
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, ca.PEM()
}
