package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

func aStatus() ipc.Status {
	in := func(d time.Duration) *time.Time { at := noon.Add(d); return &at }
	profile := func(name string, left time.Duration) ipc.Profile {
		return ipc.Profile{Name: name, Provider: "csp", Store: "keychain", APIToken: &ipc.Expiry{ExpiresAt: in(left)}}
	}
	prod := profile("prod", 33*24*time.Hour)
	prod.Default = true
	return ipc.Status{
		Version: ipc.Version, PID: 4711, StartedAt: noon.Add(-3 * time.Hour), Socket: "/run/agent.sock",
		Config: ipc.ConfigStatus{Path: "/etc/config.toml", Error: "/etc/config.toml:3: there is no setting x", Kept: true},
		Stores: []ipc.StoreStatus{{Kind: "keychain", Status: "ready"}, {Kind: "file", Status: "locked", Hint: "unlock it: cspctl unlock"}},
		Profiles: []ipc.ProfileStatus{
			{Profile: profile("ci", 2*24*time.Hour), State: ipc.StateRefused, RetryAt: in(5 * time.Minute),
				LastError: &ipc.Error{Code: ipc.CodeRefused, Message: "expired\x1b[2J"}},
			{Profile: prod, State: ipc.StateReady,
				AccessToken: &ipc.TokenStatus{ObtainedAt: noon.Add(-15 * time.Minute), ExpiresAt: noon.Add(15 * time.Minute), RenewAt: in(5 * time.Minute)}},
		},
	}
}

func TestStatus(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/status", aStatus())
	r := shell{agent: f}.run(t, "status")
	r.want(t, 0)
	want := `agent     version dev, pid 4711, up 3h
socket    /run/agent.sock
settings  /etc/config.toml:3: there is no setting x
          the settings before it stay in force
stores    keychain: ready
          file: locked
            unlock it: cspctl unlock

PROFILE  STATE    ACCESS TOKEN    RENEWAL      API TOKEN
ci       refused  none            retry in 5m  refused
    expired?[2J
    the API token ends on 2026-05-06 12:00 UTC
    hint: make a new one: cspctl login ci
prod *   ready    [####----] 15m  in 5m        33d left
`
	if runtime.GOOS == "windows" {
		want = strings.ReplaceAll(want, "[####----]", "█████░░░░░")
	}
	if want = strings.ReplaceAll(want, "version dev", "version "+ipc.Version); r.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", r.stdout, want)
	}
}

func TestStatusJSONIsTheReply(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/status", aStatus())
	r := shell{agent: f}.run(t, "status", "-o", "json")
	var got struct {
		Schema int
		ipc.Status
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Schema != 1 || len(got.Profiles) != 2 || !got.Profiles[1].AccessToken.ExpiresAt.Equal(noon.Add(15*time.Minute)) {
		t.Errorf("%v: %s", err, r.stdout)
	}
}

func TestStatusColours(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/status", aStatus())
	for _, c := range []struct {
		terminal bool
		env      map[string]string
		want     bool
	}{{true, nil, true}, {false, nil, false}, {true, map[string]string{"NO_COLOR": "1"}, false}, {true, map[string]string{"TERM": "dumb"}, false}} {
		r := shell{agent: f, env: c.env, terminals: [3]bool{1: c.terminal}}.run(t, "status")
		if got := strings.Contains(r.stdout, "\x1b["); got != c.want {
			t.Errorf("%+v: colours %v", c, got)
		}
		if strings.Contains(r.stdout, "\x1b[2J") {
			t.Error("a text of the agent moves the cursor")
		}
	}
}

func TestStatusWithoutProfiles(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/status", ipc.Status{Version: ipc.Version, StartedAt: noon})
	if r := (shell{agent: f}).run(t, "status"); r.code != 0 || !strings.Contains(r.stdout, "no profiles; log in: cspctl login") {
		t.Errorf("%+v", r)
	}
}
