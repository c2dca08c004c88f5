package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// On a shared host, a stand-in is for the processes of whoever asked for it and
// is listed for the profile, and for as long as that is so.
func TestP1StandInsOfASharedHost(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	s := newService(t)
	s.set(fmt.Sprintf("[profiles.ci]\nuids = [%d]\n", alice))
	if ended := s.start(); ended != "" {
		t.Fatal(ended)
	}
	s.mustAdmin("login", "ci", "--server", s.url, "--token-file", filepath.Join(s.world.dir, "prod.token"))
	hold := func(uid uint32) (*http.Response, *bufio.Reader) {
		t.Helper()
		c := connectAs(t, uid, uid, builders, s.socket)
		t.Cleanup(func() { _ = c.Close() })
		body := `{"profile":"ci"}`
		if _, err := fmt.Fprintf(c, "POST /v1/runs HTTP/1.1\r\nHost: agent\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp, bufio.NewReader(resp.Body)
	}
	if resp, lines := hold(bob); resp.StatusCode != 404 {
		line, _ := lines.ReadString('\n')
		t.Errorf("bob, who is not listed: %s %s", resp.Status, line)
	}
	resp, lines := hold(alice)
	line, err := lines.ReadString('\n')
	var run ipc.Run
	if err != nil || json.Unmarshal([]byte(line), &run) != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %q %v", resp.Status, line, err)
	}
	in := []uint32{builders}
	exchange := func(uid uint32) string {
		out, _, _ := s.as(uid, in, "curl", "-q", "-s", "--max-time", "20", run.URL+exchangePath, "-d", "api_token="+run.StandIn.Reveal())
		return out
	}
	if out := exchange(alice); !strings.Contains(out, `"access_token":"eyJ`) {
		t.Errorf("alice: %s", out)
	}
	for _, uid := range []uint32{bob, 0, serviceUser} {
		if out := exchange(uid); out != "" {
			t.Errorf("uid %d, with the stand-in of alice: %s", uid, out)
		}
	}
	if out, _, _ := s.as(alice, in, "curl", "-q", "-s", run.URL+"/csp/gateway/am/api/auth/api-tokens/details", "-d", `{"tokenValue":"`+run.StandIn.Reveal()+`"}`); !strings.Contains(out, "its owner's to see") {
		t.Errorf("details, which are the owner's: %s", out)
	}

	s.set(fmt.Sprintf("[profiles.ci]\nuids = [%d]\n", bob))
	if out := exchange(alice); !strings.Contains(out, "invalid_grant: the profile is not for this user any more") {
		t.Errorf("alice, who is not listed any more: %s", out)
	}
	var end ipc.RunEnd
	for end.Ended == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(line), &end)
	}
	if end.Ended != ipc.RunEndedGrant {
		t.Errorf("%+v", end)
	}
	s.stop()
	b, err := os.ReadFile(filepath.Join(s.state, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"action":"run","uid":64002`, `"action":"run","code":"no_such_profile","reason":"not listed"`,
		`"profile":"ci","kind":"access","run":"` + run.ID, `"action":"token","code":"not_allowed","reason":"not listed","uid":64002`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the audit lacks %s\n%s", want, b)
		}
	}
}
