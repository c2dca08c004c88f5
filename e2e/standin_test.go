//go:build unix

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// held is a run whose holder is this test.
type held struct {
	ipc.Run
	lines *bufio.Scanner
	leave func()
}

// hold asks for a run as cspctl exec does.
func (w *world) hold(t *testing.T, req ipc.RunRequest) (*held, error) {
	t.Helper()
	client := w.socketClient(t)
	client.Timeout = 0
	b, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", "http://agent/v1/runs", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		leave()
		return nil, err
	}
	t.Cleanup(func() { leave(); resp.Body.Close() })
	h := &held{lines: bufio.NewScanner(resp.Body), leave: leave}
	if !h.lines.Scan() {
		t.Fatalf("%s: %v", resp.Status, h.lines.Err())
	}
	if resp.StatusCode != 200 {
		var e ipc.Error
		_ = json.Unmarshal(h.lines.Bytes(), &e)
		return nil, &e
	}
	if err := json.Unmarshal(h.lines.Bytes(), &h.Run); err != nil {
		t.Fatal(err)
	}
	return h, nil
}

func (w *world) mustHold(t *testing.T, req ipc.RunRequest) *held {
	t.Helper()
	h, err := w.hold(t, req)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// end waits for the last line of a run: why the agent ended it.
func (h *held) end() (e ipc.RunEnd) {
	for h.lines.Scan() {
		if len(h.lines.Bytes()) > 0 {
			_ = json.Unmarshal(h.lines.Bytes(), &e)
		}
	}
	return e
}

// curl runs a client; its environment has the run alone.
func (h *held) curl(args ...string) (map[string]any, []byte) {
	out, err := exec.Command("curl", append([]string{"-q", "-s", "--max-time", "20"}, args...)...).CombinedOutput()
	var answer map[string]any
	if json.Unmarshal(out, &answer) != nil {
		answer = map[string]any{"curl": fmt.Sprint(err)}
	}
	return answer, out
}

const (
	exchangePath = "/csp/gateway/am/api/auth/api-tokens/authorize"
	appPath      = "/csp/gateway/am/api/auth/authorize"
)

// P1: programs that exchange API tokens by themselves, each in its own form, get
// a valid token again and again, over several lives of it, and never see the API
// token.
func TestP1ClientsExchangeAStandIn(t *testing.T) {
	needCurl(t)
	t.Parallel()
	w := served(t, []string{"prod"}, []string{"-life", "4s"})
	w.mustLogin(t)
	api := readSecret(t, w, "prod")
	h := w.mustHold(t, ipc.RunRequest{Profile: "prod"})
	token := h.StandIn.Reveal()
	forms := map[string][]string{ // the clients of facts that are public
		"tanzu":        {h.URL + exchangePath, "-d", "refresh_token=" + token},
		"terraform":    {h.URL + exchangePath, "-d", "refresh_token=" + token, "-H", "Content-Type: application/x-www-form-urlencoded"},
		"carbon black": {h.URL + exchangePath, "-d", "api_token=" + token},
		"VIB":          {h.URL + exchangePath, "-d", "grant_type=refresh_token&api_token=" + token},
		"pyVMC":        {h.URL + exchangePath + "?api_token=" + token, "-X", "POST"},
		"VMware.CSP":   {h.URL + exchangePath, "-d", "refresh_token=" + token, "-H", "accept: application/json"},
		"mkpcli":       {h.URL + exchangePath, "--data-urlencode", "refresh_token=" + token},
		"wavefront":    {h.URL + "/" + exchangePath, "-d", "api_token=" + token},
		"an OAuth app": {h.URL + appPath, "-u", "my-app:" + token, "-d", "grant_type=client_credentials"},
	}
	seen := map[string]bool{}
	for end := time.Now().Add(13 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		for client, args := range forms {
			answer, all := h.curl(args...)
			access, _ := answer["access_token"].(string)
			left, _ := answer["expires_in"].(float64)
			if !strings.HasPrefix(access, "eyJ") || left < 1 || left != float64(int(left)) {
				t.Fatalf("%s: %s", client, all)
			}
			if again, app := answer["refresh_token"], client == "an OAuth app"; again != token && !app {
				t.Errorf("%s was given another refresh_token", client)
			}
			if bytes.Contains(all, api[:12]) || bytes.Contains(all, api[len(api)-12:]) {
				t.Fatalf("%s saw the API token", client)
			}
			seen[access] = true
		}
	}
	if len(seen) < 4 {
		t.Errorf("%d tokens in three lives", len(seen))
	}

	// What it is worth elsewhere.
	out, err := exec.Command("curl", "-q", "-s", w.url+exchangePath, "-d", "api_token="+token).Output()
	if err != nil || !strings.Contains(string(out), "invalid_grant") {
		t.Errorf("the server: %s %v", out, err)
	}
	if out, err := w.login("thief", filepath.Base(writeFile(t, w.dir, "stand-in", token)), "--store", "memory"); err == nil || !strings.Contains(out, "stand-in") {
		t.Errorf("a login with it: %s", out)
	}
	d, all := h.curl(h.URL+"/csp/gateway/am/api/auth/api-tokens/details", "-d", `{"tokenValue":"`+token+`"}`)
	if d["expiresAt"].(float64) < float64(time.Now().Unix()) || d["token"] != nil {
		t.Errorf("details: %s", all)
	}
	if k, all := h.curl(h.URL + "/csp/gateway/am/api/auth/token-public-key"); !strings.HasPrefix(fmt.Sprint(k["value"]), "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("the key: %s", all)
	}

	// The audit says through what each token went out.
	audit, err := os.ReadFile(filepath.Join(w.dir, "home", ".local", "state", "cspctl", "audit.jsonl"))
	if err != nil || !bytes.Contains(audit, []byte(`"run":"`+h.ID+`"`)) || bytes.Contains(audit, []byte(token)) {
		t.Errorf("the audit: %v\n%s", err, audit)
	}
}

func readSecret(t *testing.T, w *world, account string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, account+".token"))
	if b = bytes.TrimSpace(b); err != nil || len(b) < 32 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	return b
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refused reports whether the stand-in of a run is worth nothing there.
func (h *held) refused(url string) bool {
	answer, _ := h.curl(url+exchangePath, "-d", "api_token="+h.StandIn.Reveal())
	return answer["access_token"] == nil
}

// A stand-in is worth nothing after its run, whatever ended it, and nothing to
// another run.
func TestP1StandInEndsWithItsRun(t *testing.T) {
	needCurl(t)
	t.Parallel()
	w := served(t, []string{"prod", "lab"}, nil)
	w.mustLogin(t)
	if out, err := w.login("lab", "lab.token", "--store", "memory"); err != nil {
		t.Fatal(out)
	}
	lab := w.mustHold(t, ipc.RunRequest{Profile: "lab"})
	gone := func(why string, h *held) {
		t.Helper()
		if err := within(10*time.Second, func() error {
			if h.refused(h.URL) {
				return nil
			}
			return fmt.Errorf("after %s it is worth a token", why)
		}); err != nil {
			t.Error(err)
		}
		if !h.refused(lab.URL) {
			t.Errorf("after %s it is worth a token of another profile", why)
		}
	}
	h := w.mustHold(t, ipc.RunRequest{Profile: "prod"})
	if h.refused(h.URL) || lab.refused(lab.URL) || !h.refused(lab.URL) || !lab.refused(h.URL) {
		t.Error("a stand-in is not its own run's alone")
	}
	h.leave()
	gone("its holder has left", h)

	h = w.mustHold(t, ipc.RunRequest{Profile: "prod", Lifetime: "1s"})
	if end := h.end(); end.Ended != ipc.RunEndedTime {
		t.Errorf("%+v", end)
	}
	gone("its time", h)

	// The agent is killed: the holder registers it again, and has it as before.
	h = w.mustHold(t, ipc.RunRequest{Profile: "prod"})
	w.agent.stop(syscall.SIGKILL)
	h.end()
	gone("the agent's death", h)
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	w.mustLogin(t) // its store is its memory
	if out, err := w.login("lab", "lab.token", "--store", "memory"); err != nil {
		t.Fatal(out)
	}
	lab = w.mustHold(t, ipc.RunRequest{Profile: "lab"})
	again := w.mustHold(t, ipc.RunRequest{Profile: "prod", Again: h.Again})
	if again.URL != h.URL || again.StandIn.Reveal() != h.StandIn.Reveal() || again.refused(h.URL) {
		t.Errorf("%+v went on as %+v", h.Run, again.Run)
	}

	if out, err := w.cspctl("logout", "prod").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if end := again.end(); end.Ended != ipc.RunEndedLogout {
		t.Errorf("%+v", end)
	}
	gone("a logout", again)
	if _, err := w.hold(t, ipc.RunRequest{Profile: "prod"}); err == nil {
		t.Error("a run for a profile that is logged out")
	}

	lock := w.cspctl("lock", "--passphrase-file", writeFile(t, w.dir, "passphrase", "correct horse"))
	if out, err := lock.CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if end := lab.end(); end.Ended != ipc.RunEndedLock {
		t.Errorf("%+v", end)
	}
	if _, err := w.hold(t, ipc.RunRequest{Profile: "lab"}); err == nil {
		t.Error("a run while the agent is locked")
	}
}

// P1: another user's processes get nothing at the endpoint, stand-in or not, and
// that is on record once.
func TestP1AnotherUserIsRefusedAtTheEndpoint(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	needCurl(t)
	t.Parallel()
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	h := w.mustHold(t, ipc.RunRequest{Profile: "prod"})
	for range 5 {
		c := exec.Command("curl", "-q", "-sS", h.URL+exchangePath, "-d", "api_token="+h.StandIn.Reveal())
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		c.Dir = "/"
		if out, err := c.CombinedOutput(); err == nil || strings.Contains(string(out), "access_token") {
			t.Errorf("%s", out)
		}
	}
	if h.refused(h.URL) {
		t.Error("its own user is refused")
	}
	audit := filepath.Join(w.dir, "home", ".local", "state", "cspctl", "audit.jsonl")
	var b []byte
	if err := within(10*time.Second, func() (err error) {
		if b, err = os.ReadFile(audit); err == nil && !bytes.Contains(b, []byte("another user")) {
			err = fmt.Errorf("it is not on record")
		}
		return err
	}); err != nil || bytes.Count(b, []byte("another user")) != 1 {
		t.Errorf("%v\n%s", err, b)
	}
}

func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
}
