package ipc

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Reply is what the agent answered.
type Reply struct {
	Status int // 200 to 599
	Body   []byte

	fields []field
}

type field struct{ name, value string }

// Header returns the value of the named header, or "". Case does not matter.
func (r *Reply) Header(name string) string {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// errGarbage marks a reply that a csp-agent would not give.
var errGarbage = errors.New("not a reply of csp-agent")

// readReply reads one HTTP/1.1 reply (RFC 9112) of the narrow kind that the
// agent gives: CRLF line ends, a Content-Length, no transfer coding, no more
// than MaxHeader and MaxReplyBody bytes. Anything else is errGarbage. An error
// of read is returned as it is; io.EOF stands for an end before the first byte
// and io.ErrUnexpectedEOF for one later.
func readReply(read func([]byte) (int, error)) (*Reply, error) {
	buf := make([]byte, 0, 4<<10)
	more := func() error {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 4*cap(buf)), buf...)
		}
		n, err := read(buf[len(buf):cap(buf)])
		if err == io.EOF && len(buf) > 0 {
			err = io.ErrUnexpectedEOF
		}
		buf = buf[:len(buf)+n]
		return err
	}

	const gap = "\r\n\r\n"
	end := -1
	for end < 0 {
		seen := len(buf)
		if seen > MaxHeader {
			return nil, errGarbage
		}
		if err := more(); err != nil {
			return nil, err
		}
		from := max(0, seen-len(gap)+1)
		if i := bytes.Index(buf[from:], []byte(gap)); i >= 0 {
			end = from + i
		}
	}
	if end > MaxHeader {
		return nil, errGarbage
	}
	r, length, err := parseHead(string(buf[:end]))
	if err != nil {
		return nil, err
	}
	body := end + len(gap)
	for len(buf)-body < length {
		if err := more(); err != nil {
			return nil, err
		}
	}
	if len(buf)-body > length {
		return nil, errGarbage
	}
	r.Body = buf[body:]
	return r, nil
}

// parseHead reads the status line and the header fields, without the empty
// line after them, and returns the length of the body to come.
func parseHead(head string) (r *Reply, length int, err error) {
	line, rest, _ := strings.Cut(head, "\r\n")
	r = &Reply{}
	const proto = "HTTP/1.1 "
	if !strings.HasPrefix(line, proto) || !plain(line) {
		return nil, 0, errGarbage
	}
	code, _, _ := strings.Cut(line[len(proto):], " ")
	status, ok := digits(code, 3)
	if !ok || len(code) != 3 || status < 200 || status > 599 {
		return nil, 0, errGarbage
	}
	r.Status = status

	length = -1
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !plain(value) {
			return nil, 0, errGarbage
		}
		value = strings.Trim(value, " \t")
		switch {
		case strings.EqualFold(name, "Transfer-Encoding"), strings.EqualFold(name, "Content-Encoding"):
			return nil, 0, errGarbage
		case strings.EqualFold(name, "Content-Length"):
			n, ok := digits(value, 6)
			if !ok || length >= 0 || n > MaxReplyBody {
				return nil, 0, errGarbage
			}
			length = n
		}
		r.fields = append(r.fields, field{name, value})
	}
	switch noBody := status == 204 || status == 304; {
	case noBody:
		length = 0
	case length < 0:
		return nil, 0, errGarbage
	}
	return r, length, nil
}

// digits reads a decimal number of at most most digits, and nothing but digits.
func digits(s string, most int) (int, bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}

// plain reports whether s has no control character but the tab.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isToken reports whether s is a token in the sense of RFC 9110, 5.6.2: a
// method or the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
