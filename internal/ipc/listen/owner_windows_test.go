package listen_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/Microsoft/go-winio"

	"github.com/cspctl/cspctl/internal/ipc"
)

// A name that is free can be taken by any process: cspctl writes nothing to a
// pipe that another user has made.
func TestPipeOfAnotherUser(t *testing.T) {
	path := fmt.Sprintf(`\\.\pipe\csp-agent-other-%d`, os.Getpid())
	const administrators = "S-1-5-32-544"
	l, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: "O:BAD:P(A;;GA;;;WD)"})
	if err != nil {
		t.Skipf("needs the right to make a pipe that is another's (administrators): %v", err)
	}
	told := make(chan string, 10)
	go func() {
		defer close(told)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 100)
			n, _ := c.Read(b)
			told <- string(b[:n])
			_ = c.Close()
		}
	}()
	c := ipc.Open(ipc.Options{NoStart: true, Getenv: func(name string) string {
		return map[string]string{ipc.EnvSocket: path}[name]
	}})
	for range 2 { // wine leads the first to nobody
		_, err = c.Do(ipc.Request{Method: "GET", Path: "/v1/status"})
		var e *ipc.Error
		if !errors.As(err, &e) || e.Code != ipc.CodeAgent || !strings.Contains(e.Message, "another user ("+administrators+") listens at ") {
			t.Errorf("got %v", err)
		}
	}
	_ = l.Close()
	for s := range told {
		if s != "" {
			t.Errorf("it was told %q", s)
		}
	}
}
