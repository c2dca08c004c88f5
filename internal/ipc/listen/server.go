package listen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Server returns an HTTP server for Listeners: every wait has a limit, and
// requests carry their peer (PeerFrom). A handler that streams moves its write
// deadline with http.ResponseController.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		// A person may have to answer a keychain's dialog first, and the
		// answer must still get through to a client that waits that long.
		WriteTimeout:   ipc.PromptTimeout + 15*time.Second,
		IdleTimeout:    30 * time.Second,
		MaxHeaderBytes: ipc.MaxHeader,
		ConnContext:    WithPeer,
	}
}

// refuse tells a peer why it is not served, and closes. If patient it takes
// the request first, for a moment: curl takes a connection that closes at once
// for one that was never made.
func refuse(c net.Conn, why error, patient bool) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(250 * time.Millisecond))
	if patient {
		_, _ = c.Read(make([]byte, 4<<10))
	}
	status, e := http.StatusForbidden, ipc.Error{Code: ipc.CodeNotAllowed,
		Message: "this agent does not serve your user here", Hint: "use an agent of your own: unset " + ipc.EnvSocket}
	if errors.Is(why, ErrBusy) {
		status, e = http.StatusServiceUnavailable, ipc.Error{Code: ipc.CodeBusy,
			Message: "your user has too many connections to the agent", Hint: "try again in a moment", Retry: 1}
	}
	body, _ := json.Marshal(e)
	// It fits the socket's buffer, so this does not wait for the peer.
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%s: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), ipc.HeaderVersion, ipc.Version, len(body), body)
	if half, ok := c.(interface{ CloseWrite() error }); ok && patient {
		_ = half.CloseWrite()
		_, _ = io.Copy(io.Discard, io.LimitReader(c, ipc.MaxRequestBody))
	}
}
