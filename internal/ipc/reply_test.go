package ipc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// inPieces reads b in pieces of n bytes, then err.
func inPieces(b []byte, n int, err error) func([]byte) (int, error) {
	return func(p []byte) (int, error) {
		if len(b) == 0 {
			return 0, err
		}
		k := copy(p[:min(n, len(p))], b)
		b = b[k:]
		return k, nil
	}
}

func TestReadReply(t *testing.T) {
	in := "HTTP/1.1 200 OK\r\nCsp-Profile: prod\r\nX: \t a b \t\r\ncontent-LENGTH: 5\r\n\r\nhello"
	for _, n := range []int{1, 2, 3, 7, 1000} {
		r, err := readReply(inPieces([]byte(in), n, io.EOF))
		if err != nil {
			t.Fatalf("in pieces of %d: %v", n, err)
		}
		if r.Status != 200 || string(r.Body) != "hello" || r.Header("csp-profile") != "prod" || r.Header("X") != "a b" || r.Header("Y") != "" {
			t.Errorf("in pieces of %d: got %+v", n, r)
		}
	}
	for _, in := range []string{
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(MaxReplyBody) + "\r\n\r\n" + strings.Repeat("x", MaxReplyBody),
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + strings.Repeat("x", MaxHeader-200) + "\r\n\r\n",
	} {
		if _, err := readReply(inPieces([]byte(in), 4096, io.EOF)); err != nil {
			t.Errorf("%.40q...: %v", in, err)
		}
	}
}

func TestReadReplyRefuses(t *testing.T) {
	with := func(fields string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n\r\nhello" }
	for name, in := range map[string]string{
		"not HTTP":                  "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/1.0":                  "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2":                    "HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
		"a request":                 "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"no status":                 "HTTP/1.1 \r\nContent-Length: 0\r\n\r\n",
		"short status":              "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"interim status":            "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
		"status 600":                "HTTP/1.1 600 Huh\r\nContent-Length: 0\r\n\r\n",
		"no length":                 with("X: y"),
		"chunked":                   with("Transfer-Encoding: chunked"),
		"chunked and length":        with("Content-Length: 5\r\ntransfer-encoding: chunked"),
		"compressed":                with("Content-Length: 5\r\nContent-Encoding: gzip"),
		"two lengths":               with("Content-Length: 5\r\nContent-Length: 5"),
		"a list of lengths":         with("Content-Length: 5, 5"),
		"negative length":           with("Content-Length: -5"),
		"signed length":             with("Content-Length: +5"),
		"hexadecimal length":        with("Content-Length: 0x5"),
		"empty length":              with("Content-Length: "),
		"length over the bound":     with("Content-Length: " + strconv.Itoa(MaxReplyBody+1)),
		"overflowing length":        with("Content-Length: 99999999999999999999999"),
		"more than its length":      with("Content-Length: 4"),
		"header without a name":     with("Content-Length: 5\r\n: x"),
		"header with a space":       with("Content-Length : 5"),
		"folded header":             with("Content-Length: 5\r\n x"),
		"header without a colon":    with("Content-Length: 5\r\nx"),
		"header with a bare LF":     with("Content-Length: 5\r\nX: a\nY: b"),
		"header with a NUL":         with("Content-Length: 5\r\nX: \x00"),
		"header with an escape":     with("Content-Length: 5\r\nX: \x1b[2J"),
		"only LF":                   "HTTP/1.1 200 OK\nContent-Length: 0\n\n" + strings.Repeat("x", MaxHeader),
		"header over the bound":     with("Content-Length: 5\r\nX: " + strings.Repeat("x", MaxHeader)),
		"a status line without end": "HTTP/1.1 200 " + strings.Repeat("x", 3*MaxHeader),
	} {
		if r, err := readReply(inPieces([]byte(in), 4096, io.EOF)); err != errGarbage {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	for in, want := range map[string]error{
		"":                    io.EOF,
		"H":                   io.ErrUnexpectedEOF,
		"HTTP/1.1 200 OK\r\n": io.ErrUnexpectedEOF,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n":     io.ErrUnexpectedEOF,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell": io.ErrUnexpectedEOF,
	} {
		if _, err := readReply(inPieces([]byte(in), 4096, io.EOF)); err != want {
			t.Errorf("%q: got %v, want %v", in, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := readReply(inPieces([]byte("HTTP/1.1 2"), 4096, broken)); err != broken {
		t.Errorf("got %v", err)
	}
}

// Whatever the agent's socket says, the reader keeps to its bounds, and what
// it accepts means the same to net/http.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCsp-Expires-At: 2030-01-02T03:04:05Z\r\nContent-Length: 4\r\n\r\nabc\n",
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 26\r\n\r\n{\"code\":\"x\",\"message\":\"y\"}",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 304\r\nContent-Length: 7\r\n\r\n",
		"\r\n\r\n",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		n = max(1, min(n, 1<<16))
		r, err := readReply(inPieces(in, n, io.EOF))
		if err != nil {
			if r != nil {
				t.Fatal("a reply and an error")
			}
			return
		}
		if len(r.Body) > MaxReplyBody {
			t.Fatalf("%d bytes of body", len(r.Body))
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		body, err := io.ReadAll(theirs.Body)
		if err != nil || theirs.StatusCode != r.Status || !bytes.Equal(body, r.Body) {
			t.Fatalf("net/http reads %d %q, %v; we read %d %q", theirs.StatusCode, body, err, r.Status, r.Body)
		}
		for _, f := range r.fields {
			if theirs.Header.Get(f.name) == "" && r.Header(f.name) != "" {
				t.Fatalf("net/http does not see %q", f.name)
			}
		}
		if token, ok := parseToken(r); ok && (token.Token.Len() != len(r.Body)-1 || !isPrintableASCII(token.Token.Reveal())) {
			t.Fatalf("not a token: %q", r.Body)
		}
	})
}

func TestRequestEncode(t *testing.T) {
	b, err := Request{Method: "POST", Path: "/v1/token?a=b", Body: []byte("{}"), Accept: "text/plain"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != "{}" || r.Method != "POST" || r.RequestURI != "/v1/token?a=b" || r.Host != Host ||
		!r.Close || r.Header.Get("Accept") != "text/plain" || r.Header.Get(HeaderClientVersion) != Version {
		t.Errorf("got %+v, body %q, %v", r, body, err)
	}
	for name, bad := range map[string]Request{
		"no method":           {Path: "/"},
		"method injection":    {Method: "GET / HTTP/1.1\r\nX:", Path: "/"},
		"no path":             {Method: "GET"},
		"another host":        {Method: "GET", Path: "http://x/"},
		"path injection":      {Method: "GET", Path: "/ HTTP/1.1\r\nX: y"},
		"unescaped path":      {Method: "GET", Path: "/a b"},
		"path beyond ASCII":   {Method: "GET", Path: "/ä"},
		"accept injection":    {Method: "GET", Path: "/", Accept: "a\r\nX: y"},
		"path over a bound":   {Method: "GET", Path: "/" + strings.Repeat("x", MaxHeader)},
		"body over its bound": {Method: "PUT", Path: "/", Body: make([]byte, MaxRequestBody+1)},
	} {
		_, err := bad.encode()
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeBadRequest {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTokenQuery(t *testing.T) {
	for want, req := range map[string]TokenRequest{
		"":                                       {},
		"?profile=prod":                          {Profile: "prod"},
		"?min_ttl=5m":                            {MinTTL: "5m"},
		"?profile=a%26b%3Dc%20%C3%A4&kind=id":    {Profile: "a&b=c ä", Kind: "id"},
		"?profile=p&fresh=true&interactive=true": {Profile: "p", Fresh: true, Interactive: true},
		"?warnings=auto":                         {Warnings: WarningsAuto},
	} {
		if got := tokenQuery(req); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestOwnAgentOnly(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         bool
	}{
		{"GET", "/v1/token", false}, {"POST", "/v1/token", false}, {"GET", "/v1/status", false},
		{"PUT", "/v1/profiles/prod", true}, {"DELETE", "/v1/profiles/prod", true}, {"POST", "/v1/unlock", true},
	} {
		if got := (Request{Method: c.method, Path: c.path}).ownAgentOnly(); got != c.want {
			t.Errorf("%s %s: %v", c.method, c.path, got)
		}
	}
}
