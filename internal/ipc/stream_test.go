package ipc

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

// readStream returns the lines of a reply, each with a | behind it, and its end.
func readStream(read func([]byte) (int, error)) (status int, lines string, err error) {
	r, rest, err := readStreamHead(read)
	if err != nil {
		return 0, "", err
	}
	if r.Status != 200 || len(r.Body) > 0 {
		return r.Status, string(r.Body), nil
	}
	l := lineReader{chunks: chunkReader{read: read, buf: rest}}
	for {
		line, err := l.next()
		if err != nil {
			return r.Status, lines, err
		}
		lines += string(line) + "|"
	}
}

func TestStreams(t *testing.T) {
	for _, c := range []struct {
		reply string
		lines string
		err   error
	}{
		{streamHead + "4\r\nab\n\n\r\n3\r\nc\nd\r\n2\r\ne\n\r\n0\r\n\r\n", "ab||c|de|", ErrStreamEnded},
		{streamHead + "2;x=y\r\na\n\r\n", "a|", ErrStreamEnded},
		{streamHead + "A \r\n012345678\n\r\n0000\r\n", "012345678|", ErrStreamEnded},
		{streamHead, "", ErrStreamEnded},
		{streamHead + "5\r\nab", "", ErrStreamEnded},
		{streamHead + "2\r\na\nX\r\n", "a|", errGarbage},
		{streamHead + "x\r\n", "", errGarbage},
		{streamHead + "-1\r\n", "", errGarbage},
		{streamHead + "1234567\r\n", "", errGarbage},
		{streamHead + strings.Repeat("0", 300), "", errGarbage},
		{streamHead + "fffff\r\n" + strings.Repeat("a", 1<<19), "", errGarbage},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "", errGarbage},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "", errGarbage},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "", errGarbage},
		{"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}", "{}", nil},
		{"HTTP/1.1 409 Conflict\r\nContent-Length: 3\r\n\r\n{}", "", io.ErrUnexpectedEOF},
		{"HTTP/1.1 200", "", io.ErrUnexpectedEOF},
		{"", "", io.EOF},
		{strings.Repeat("x", MaxHeader+8<<10), "", errGarbage},
	} {
		for how, r := range map[string]io.Reader{"at once": strings.NewReader(c.reply), "byte by byte": iotest.OneByteReader(strings.NewReader(c.reply))} {
			_, lines, err := readStream(r.Read)
			if lines != c.lines || !errors.Is(err, c.err) {
				t.Errorf("%s: %.80q: %q, %v; want %q, %v", how, c.reply, lines, err, c.lines, c.err)
			}
		}
	}
}

// However the bytes arrive, and whatever they are, the lines are the same and
// there is an end.
func FuzzStream(f *testing.F) {
	f.Add("4\r\nab\n\n\r\n3\r\nc\nd\r\n2\r\ne\n\r\n0\r\n\r\n")
	f.Add("2;x\r\na\n\r\n")
	f.Add("x")
	f.Fuzz(func(t *testing.T, body string) {
		_, all, err := readStream(strings.NewReader(streamHead + body).Read)
		_, single, err2 := readStream(iotest.OneByteReader(strings.NewReader(streamHead + body)).Read)
		if err == nil || err2 == nil || all != single {
			t.Errorf("%q, %v; %q, %v", all, err, single, err2)
		}
	})
}

func TestToolVars(t *testing.T) {
	v := ToolVar{Name: "A", Value: "{hostport}/x?{standin}"}
	needs, err := v.Needs()
	if err != nil || strings.Join(needs, " ") != "standin hostport" {
		t.Errorf("%q, %v", needs, err)
	}
	// What was given is no template.
	if got := v.Expand(map[string]string{GiveHostPort: "{standin}", GiveStandIn: "{url}"}); got != "{standin}/x?{url}" {
		t.Error(got)
	}
	for _, bad := range []string{"{", "}", "{Access}", "{url", "{}", "{{url}}"} {
		if _, err := (ToolVar{"A", bad}).Needs(); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for name, ok := range map[string]bool{"A": true, "cspAuthToken": true, "LDAP": true, "LD_PRELOAD": false, "Path": false, "ld_library_path": false,
		"DYLD_X": false, "": false, "A-B": false, "NODE_OPTIONS": false, strings.Repeat("a", 129): false} {
		if (CheckToolVar(name) == nil) != ok {
			t.Errorf("%q", name)
		}
	}
}
