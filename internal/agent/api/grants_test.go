package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/provider"
)

// me is the uid of the caller in these tests, and team one of the caller's groups.
const me, team = 1001, 2002

// listing makes a socket with the role token, whose caller is me; whom lists
// says for whom each profile is.
func listing(whom map[string]api.Grant) func(*api.Options) {
	return func(o *api.Options) {
		o.Role = api.Token
		o.Grants = func(profile string) api.Grant { return whom[profile] }
		o.Listed = func(_ context.Context, uids, gids []uint32) bool {
			return slices.Contains(uids, me) || slices.Contains(gids, team)
		}
	}
}

// tokenServer is a socket with the role token; it has the profiles prod (the
// default one), ci and lab.
func tokenServer(t testing.TB, whom map[string]api.Grant, change ...func(*api.Options)) *api.Server {
	var s *api.Server
	owner := newServer(t, api.Owner, func(o *api.Options) {
		of := *o
		listing(whom)(&of)
		for _, f := range change {
			f(&of)
		}
		s = api.New(of)
	})
	for _, name := range []string{"ci", "lab"} {
		if e := put(owner, name, ""); e.Code != "" {
			t.Fatalf("%+v", e)
		}
	}
	return s
}

func replyOf(t *testing.T, w *httptest.ResponseRecorder) (r struct {
	ipc.Error
	Profile string
	Warning ipc.Warning
}) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Errorf("%q: %v", w.Body, err)
	}
	return r
}

// Who may have which profile, by name and without one.
func TestGrants(t *testing.T) {
	mine, others := api.Grant{UIDs: []uint32{7, me}}, api.Grant{UIDs: []uint32{7}, GIDs: []uint32{8}}
	ours := api.Grant{GIDs: []uint32{team}}
	for _, c := range []struct {
		name string
		whom map[string]api.Grant
		ask  string // "" for no profile
		want string // the profile, or what the error says
	}{
		{"by uid", map[string]api.Grant{"ci": mine}, "ci", "ci"},
		{"by group", map[string]api.Grant{"ci": ours}, "ci", "ci"},
		{"for others", map[string]api.Grant{"ci": others}, "ci", "profile ci does not exist or is not for this user"},
		{"for nobody", nil, "ci", "profile ci does not exist or is not for this user"},
		{"not there", map[string]api.Grant{"ci": mine}, "x", "profile x does not exist or is not for this user"},
		{"listed and not there", map[string]api.Grant{"x": mine}, "x", "profile x does not exist or is not for this user"},
		{"the default one", map[string]api.Grant{"prod": ours, "ci": mine}, "", "prod"},
		{"the only one", map[string]api.Grant{"prod": others, "ci": mine}, "", "ci"},
		{"one of several", map[string]api.Grant{"lab": mine, "ci": mine}, "", "several profiles are for this user, and none of them is the default one: ci, lab"},
		{"none", map[string]api.Grant{"prod": others}, "", "no profile is for this user"},
	} {
		w := ask(tokenServer(t, c.whom), "GET", "/v1/token?profile="+c.ask, "")
		r := replyOf(t, w)
		switch {
		case w.Code == 200 && r.Profile == c.want:
		case w.Code == 404 && r.Code == ipc.CodeNoSuchProfile && r.Message == c.want && !strings.Contains(r.Hint, "login"):
		default:
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

// What only the owner may do with a token is not done for others, whichever way
// they ask.
func TestTokenSocketRefuses(t *testing.T) {
	s := tokenServer(t, map[string]api.Grant{"prod": {UIDs: []uint32{me}}})
	for _, body := range []string{
		`{"profile":"prod","passcode":"123456"}`, `{"profile":"prod","scope":["openid"]}`,
		`{"profile":"prod","resource_scope":"{}"}`, `{"profile":"prod","kind":"proxy"}`, `{"profile":"ci","passcode":"123456"}`,
	} {
		if w := ask(s, "POST", "/v1/token", body); codeOf(t, w) != ipc.CodeNotAllowed {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	for _, body := range []string{`{"profile":"prod","spare":false,"fresh":true}`, `{"Spare":false,"fresh":true}`} {
		if w := ask(s, "POST", "/v1/token", body); codeOf(t, w) != ipc.CodeBusy || w.Header().Get("Retry-After") == "" { // a login has exchanged it just now
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	w := ask(s, "GET", "/v1/profiles", "")
	if got := strings.TrimSpace(w.Body.String()); got != `{"profiles":[{"name":"prod","default":true,"provider":"","server":"","store":""}]}` {
		t.Errorf("the profiles: %s", got)
	}
}

// A warning tells others that the end is near, and nothing of whose secret it is.
func TestWarningsForOthers(t *testing.T) {
	s := tokenServer(t, map[string]api.Grant{"prod": {UIDs: []uint32{me}}})
	r := replyOf(t, ask(s, "GET", "/v1/token?warnings=always", ""))
	if r.Warning.Message != "the credential of profile prod expires within 3d; tell the administrator of this agent" || r.Warning.Stage != "3d" || r.Warning.Silent {
		t.Errorf("%+v", r.Warning)
	}
	for range 2 { // which would be once a day, and the owner's
		w := ask(s, "GET", "/v1/token?warnings=auto", "", "Accept", "text/plain")
		if w.Code != 200 || w.Header().Get(ipc.HeaderWarning) != "" {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
	}
}

// Of an error, others are told what is the matter, and nothing that the owner
// entered or a server said.
func TestErrorsForOthers(t *testing.T) {
	for _, c := range []struct{ code, want ipc.Code }{
		{ipc.CodeNotLoggedIn, ""}, {ipc.CodeRefused, ""}, {ipc.CodePasscodeNeeded, ipc.CodeRefusedForNow}, {ipc.CodeRefusedForNow, ""},
		{ipc.CodeUnreachable, ""}, {ipc.CodeWrongServer, ""}, {ipc.CodeStoreLocked, ""}, {ipc.CodePassphraseNotSet, ""},
		{ipc.CodeStoreAbsent, ""}, {ipc.CodeState, ""}, {ipc.CodeInternal, ""},
	} {
		err := api.GrantedError(&ipc.Error{Code: c.code, Message: "private words", Hint: "cspctl login ci", Request: "private", Retry: 7}, "ci")
		e, ok := errors.AsType[*ipc.Error](err)
		want := c.want
		if want == "" {
			want = c.code
		}
		if !ok || e.Code != want || e.Retry != 7 || e.Message == "" || !strings.Contains(e.Hint, "ask the administrator") {
			t.Errorf("%s: %+v", c.code, e)
		}
		if b, _ := json.Marshal(e); strings.Contains(string(b), "private") || strings.Contains(string(b), "login") {
			t.Errorf("%s: %s", c.code, b)
		}
	}
	for _, err := range []error{errors.New("private words"), provider.ErrNoSecret} {
		if e := api.GrantedError(err, "ci"); strings.Contains(e.Error(), err.Error()) {
			t.Errorf("%v", e)
		}
	}
	bad := &ipc.Error{Code: ipc.CodeConfigInvalid, Message: "/etc/private:3: wrong"}
	s := tokenServer(t, nil, func(o *api.Options) { o.Unusable = func() *ipc.Error { return bad } })
	if w := ask(s, "GET", "/v1/token", ""); codeOf(t, w) != ipc.CodeConfigInvalid || strings.Contains(w.Body.String(), "private") {
		t.Errorf("%s", w.Body)
	}
}

// Every answer is on record: what was done, and what was refused, at a rate that
// leaves room for what matters.
func TestEveryAnswerIsOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log := new(strings.Builder)
	audit := api.NewAudit(path, slog.New(slog.NewTextHandler(log, nil)))
	with := func(o *api.Options) { o.Audit, o.Socket = audit, "/run/x.sock" }
	owner := newServer(t, api.Owner, with)
	for _, r := range []string{
		"PUT /v1/profiles/prod " + `{"secret":"` + apiToken + `","store":"memory","no_verify":true}`,
		"GET /v1/token?profile=prod", "GET /v1/status", "GET /v1/token?profile=..%2Fx", "GET /v1/token?profile=nobody&kind=access",
		"POST /v1/profiles/prod/use", "POST /v1/profiles/prod/rename " + `{"to":"main"}`, "POST /v1/profiles/main/logout",
		"PUT /v1/profiles/main " + `{"secret":"` + apiToken + `","store":"memory","no_verify":true}`, "DELETE /v1/profiles/main", "POST /v1/lock {}", "POST /v1/unlock {}",
	} {
		method, rest, _ := strings.Cut(r, " ")
		target, body, _ := strings.Cut(rest, " ")
		ask(owner, method, target, body)
	}
	whom := map[string]api.Grant{"ci": {UIDs: []uint32{7}}, "prod": {UIDs: []uint32{me}}}
	s := tokenServer(t, whom, with)
	ask(s, "GET", "/v1/token", "")
	for range 30 { // of which some are recorded
		ask(s, "GET", "/v1/token?profile=ci", "")
	}
	if err := audit.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(b)) {
		var l struct {
			Action, Code, Reason, Fix, Role, Socket, Profile, Kind, To string
			Replaced                                                   bool
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Socket != "/run/x.sock" {
			t.Fatalf("%q: %v", line, err)
		}
		text := strings.Join([]string{l.Role, l.Action, l.Profile, l.Kind, l.To, l.Code, l.Reason, l.Fix}, " ")
		if l.Replaced {
			text += " replaced"
		}
		got = append(got, strings.Join(strings.Fields(text), " "))
	}
	want := []string{
		"owner login prod replaced", "owner token prod access", "owner token bad_profile_name", "owner token nobody access no_such_profile",
		"owner use prod", "owner rename prod main", "owner logout main", "owner login main", "owner remove main", "owner lock passphrase_not_set", "owner unlock",
		"token token prod access",
	}
	const refused = "token token ci no_such_profile not listed uids = [0] or gids = [0] below [profiles.ci] in the settings, then SIGHUP"
	if n := len(got) - len(want); n < 0 || !slices.Equal(got[:len(want)], want) || n < 3 || n > 10 || got[len(got)-1] != refused {
		t.Errorf("on record:\n%s", strings.Join(got, "\n"))
	}
	if !strings.Contains(log.String(), `msg="token served" uid=0`) || !strings.Contains(log.String(), `msg="refused: token"`) {
		t.Errorf("in the log: %s", log)
	}
}

// A stranger's refusals are bounded, and those that are not on record counted;
// nobody else's are lost for that.
func TestRefusalsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	audit := api.NewAudit(path, slog.New(slog.DiscardHandler))
	for range 5000 {
		audit.Refused(listen.Peer{UID: 666, PID: 1}, listen.ErrNotAllowed)
	}
	for uid := range uint32(3000) {
		audit.Refused(listen.Peer{UID: 100000 + uid}, listen.ErrBusy)
	}
	if err := audit.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), `"uid":666,`); n != 10 {
		t.Errorf("%d lines of one user", n)
	}
	if n := strings.Count(string(b), "\n"); n < 1000 || n > 1100 {
		t.Errorf("%d lines of all", n)
	}
	if !strings.Contains(string(b), `"action":"connect","code":"busy"`) {
		t.Error("who is busy is not on record")
	}
}
