package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrStreamEnded says that the agent ended, or closed the connection, without a
// word about the run.
var ErrStreamEnded = errors.New("the agent ended the connection")

// maxChunkLine bounds the line before a chunk, in bytes: a length in hexadecimal
// digits, and extensions, which nobody sends.
const maxChunkLine = 256

// RunStream is the connection on which a run lives. It is not for concurrent
// use.
type RunStream struct {
	conn  *conn
	lines *lineReader
}

// StartRun asks for a run, or for one again (see RunRequest), and returns the
// stream that it lives on. Its errors are *Error, as those of [Client.Call].
func (c *Client) StartRun(req RunRequest) (*RunStream, Run, error) {
	var run Run
	body, err := json.Marshal(req)
	if err != nil {
		return nil, run, &Error{Code: CodeInternal, Message: "the request can't be written as JSON", Err: err}
	}
	r := Request{Method: "POST", Path: "/v1/runs", Body: body, Accept: "application/x-ndjson"}
	raw, err := r.encode()
	if err != nil {
		return nil, run, err
	}
	deadline := time.Now().Add(PromptTimeout)
	conn, path, err := c.connect(c.o.OwnOnly, deadline)
	if err != nil {
		return nil, run, explain(err, path)
	}
	s, err := c.openStream(conn, path, raw, &run, deadline)
	if err != nil {
		conn.close()
		return nil, Run{}, err
	}
	return s, run, nil
}

func (c *Client) openStream(conn *conn, path string, raw []byte, run *Run, deadline time.Time) (*RunStream, error) {
	if err := conn.write(raw, deadline); err != nil && !isHangup(err) {
		return nil, explain(err, path)
	}
	read := func(p []byte) (int, error) { return conn.read(p, deadline) }
	reply, rest, err := readStreamHead(read)
	if err != nil {
		return nil, explain(err, path)
	}
	c.path = path
	c.noteVersion(reply)
	if reply.Status != 200 {
		if reply.Status < 300 {
			return nil, explain(errGarbage, path)
		}
		return nil, c.refusal(reply)
	}
	lines := &lineReader{chunks: chunkReader{read: read, buf: rest}}
	line, err := lines.next()
	if err != nil {
		return nil, explain(err, path)
	}
	if json.Unmarshal(line, run) != nil || !run.usable() {
		return nil, explain(errGarbage, path)
	}
	// The other end of a socket of this machine does not vanish unseen: however
	// long it is silent, it is there.
	lines.chunks.read = func(p []byte) (int, error) { return conn.read(p, time.Now().Add(24*time.Hour)) }
	return &RunStream{conn: conn, lines: lines}, nil
}

// usable reports whether a run has what its reader needs.
func (r *Run) usable() bool {
	return !r.StandIn.IsZero() && isPrintableASCII(r.StandIn.Reveal()) && r.HostPort != "" && isPrintableASCII(r.HostPort) &&
		(r.URL == "http://"+r.HostPort || r.URL == "https://"+r.HostPort && r.CA != "")
}

// Wait returns once the run is over: with what the agent said of it, or with
// ErrStreamEnded, or with another error of the connection.
func (s *RunStream) Wait() (RunEnd, error) {
	for {
		line, err := s.lines.next()
		if err != nil {
			return RunEnd{}, err
		}
		if len(line) == 0 {
			continue // the agent is alive
		}
		var end RunEnd
		if err := json.Unmarshal(line, &end); err != nil {
			return RunEnd{}, errGarbage
		}
		if end.Ended != "" {
			end.Message = oneLine(end.Message)
			return end, nil
		}
	}
}

// Close ends the run.
func (s *RunStream) Close() { s.conn.close() }

// readStreamHead is readReply for a reply that may go on: then it returns with
// the head, and what was read behind it.
func readStreamHead(read func([]byte) (int, error)) (r *Reply, rest []byte, err error) {
	const gap = "\r\n\r\n"
	var buf []byte
	p := make([]byte, 4<<10)
	for {
		n, err := read(p)
		buf = append(buf, p[:n]...)
		if i := bytes.Index(buf, []byte(gap)); i >= 0 {
			rest = buf[i+len(gap):]
			buf = buf[:i+len(gap)]
			break
		}
		switch {
		case errors.Is(err, io.EOF) && len(buf) > 0:
			return nil, nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, nil, err
		case len(buf) > MaxHeader:
			return nil, nil, errGarbage
		}
	}
	head, chunked := withoutChunked(string(buf))
	if !chunked {
		all := append(bytes.Clone(buf), rest...)
		reply, err := readReply(func(p []byte) (int, error) {
			if len(all) == 0 {
				return read(p)
			}
			n := copy(p, all)
			all = all[n:]
			return n, nil
		})
		return reply, nil, err
	}
	// Its length is not known, and it has no other of these fields.
	reply, err := readReply(strings.NewReader(strings.TrimSuffix(head, "\r\n") + "Content-Length: 0\r\n\r\n").Read)
	return reply, rest, err
}

// withoutChunked drops the one field Transfer-Encoding: chunked, and reports
// whether it was there.
func withoutChunked(head string) (string, bool) {
	var b strings.Builder
	found := false
	for line := range strings.SplitAfterSeq(head, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !found && strings.EqualFold(name, "Transfer-Encoding") && strings.EqualFold(strings.Trim(value, " \t\r\n"), "chunked") {
			found = true
			continue
		}
		b.WriteString(line)
	}
	return b.String(), found
}

// lineReader takes the content of chunks apart into lines, of at most
// MaxReplyBody bytes.
type lineReader struct {
	chunks chunkReader
	buf    []byte
}

// next returns a line without its end.
func (l *lineReader) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf, '\n'); i >= 0 {
			line := bytes.TrimSuffix(l.buf[:i:i], []byte("\r"))
			l.buf = l.buf[i+1:]
			return line, nil
		}
		if len(l.buf) > MaxReplyBody {
			return nil, errGarbage
		}
		part, err := l.chunks.next()
		if err != nil {
			return nil, err
		}
		l.buf = append(l.buf, part...)
	}
}

// chunkReader reads the chunked coding of RFC 9112, 7.1.
type chunkReader struct {
	read func([]byte) (int, error)
	buf  []byte
	left int  // of the chunk that is being read
	open bool // a chunk's content was read, its line end was not
}

// next returns some of the content; ErrStreamEnded at its end.
func (c *chunkReader) next() ([]byte, error) {
	for {
		if c.left > 0 && len(c.buf) > 0 {
			n := min(c.left, len(c.buf))
			part := bytes.Clone(c.buf[:n])
			c.buf, c.left = c.buf[n:], c.left-n
			c.open = c.left == 0
			return part, nil
		}
		if c.left == 0 {
			line, rest, ok := bytes.Cut(c.buf, []byte("\r\n"))
			switch {
			case !ok && len(c.buf) > maxChunkLine:
				return nil, errGarbage
			case ok && c.open:
				if len(line) > 0 {
					return nil, errGarbage
				}
				c.open, c.buf = false, rest
				continue
			case ok:
				n, good := chunkLength(string(line))
				if !good {
					return nil, errGarbage
				}
				if n == 0 {
					return nil, ErrStreamEnded
				}
				c.left, c.buf = n, rest
				continue
			}
		}
		p := make([]byte, 4<<10)
		n, err := c.read(p)
		c.buf = append(c.buf, p[:n]...)
		if n == 0 && err != nil {
			if isHangup(err) {
				err = ErrStreamEnded
			}
			return nil, err
		}
	}
}

func chunkLength(line string) (int, bool) {
	line, _, _ = strings.Cut(line, ";")
	line = strings.TrimRight(line, " \t")
	n, err := strconv.ParseUint(line, 16, 24)
	return int(n), err == nil
}
