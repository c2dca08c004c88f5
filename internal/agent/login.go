package agent

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// loginTime bounds what a login asks of the server.
const loginTime = 40 * time.Second

// Login checks a secret upstream, stores it, and makes or updates the profile.
// It does all of that or none: where it fails, what was there before still is.
// Its errors are of type *ipc.Error.
func (a *Agent) Login(ctx context.Context, name string, req ipc.LoginRequest) (ipc.LoginResult, error) {
	if bad := ipc.CheckName(name); bad != nil {
		return ipc.LoginResult{}, bad
	}
	p, leave, bad := a.changing()
	if bad != nil {
		return ipc.LoginResult{}, bad
	}
	defer leave()
	unlock, bad := a.lock(ctx, name)
	if bad != nil {
		return ipc.LoginResult{}, bad
	}
	defer unlock()
	old, bad := a.state.get(name)
	if bad != nil && bad.Code != ipc.CodeNoSuchProfile {
		return ipc.LoginResult{}, bad
	}
	rec, cred, err := a.prepare(old, req)
	if err != nil {
		return ipc.LoginResult{}, wireError(err, name)
	}
	up := upstream(rec, ipc.TokenRequest{Passcode: req.Passcode})
	trial := newAccount(name, nil, a.Clock.Now())
	var v verified
	if rec.Pending = a.rotates(rec.Provider); rec.Pending && !req.NoVerify {
		rec.account = trial
		return a.loginRotating(ctx, old, rec, cred, req)
	}
	if !req.NoVerify {
		vctx, cancel := context.WithTimeout(a.ctx, loginTime)
		defer cancel()
		vctx, done := p.within(vctx)
		defer done()
		defer context.AfterFunc(ctx, cancel)()
		if v, err = a.verify(vctx, trial, rec, cred, up); err != nil {
			if p.ended() {
				err = errLocked
			}
			return ipc.LoginResult{}, loginError(err, name)
		}
	}
	if p.ended() {
		return ipc.LoginResult{}, errLocked
	}
	if err := v.into(&rec, &cred, req, old); err != nil {
		return ipc.LoginResult{}, err
	}
	rec.account = v.account(trial, up, a.Clock.Now())
	if _, err := a.commit(ctx, old, rec, cred, req, &v); err != nil {
		return ipc.LoginResult{}, wireError(err, name)
	}
	if p.ended() {
		rec.account.forget(false) // a lock that came too early to find it
	}
	return a.loggedIn(rec, v.entry != nil, v.warnings)
}

// loggedIn is the result of a login that succeeded.
func (a *Agent) loggedIn(rec Record, checked bool, warnings []string) (ipc.LoginResult, error) {
	a.rouse()
	a.publish(rec, ipc.Event{Type: ipc.EventLogin})
	a.Log.Info("logged in", "profile", rec.account.name, "provider", rec.Provider, "server", rec.Origin, "store", rec.Store)
	result := ipc.LoginResult{Verified: checked, Warnings: warnings}
	var err error
	result.Profile, err = a.Profile(rec.account.name)
	if err != nil {
		return ipc.LoginResult{}, err
	}
	if rec.Store == provider.Memory {
		w := "the secret is in the agent's memory alone: it is gone when the agent ends"
		if a.rotates(rec.Provider) {
			w = "the token is in the agent's memory alone, and the server may replace it at each use: when the agent ends it is lost for good; --store file or keychain keeps it"
		}
		result.Warnings = append(result.Warnings, w)
	}
	return result, nil
}

// loginError words a refusal for somebody who is just logging in.
func loginError(err error, name string) *ipc.Error {
	w := *wireError(err, name)
	switch w.Code {
	case ipc.CodeUnreachable:
		if w.Hint == "" || w.Hint == "try again" {
			w.Hint = "try again, or store it unchecked with --no-verify"
		}
	case ipc.CodeWrongServer:
		w.Hint = "check --server"
	}
	return &w
}

// prepare works out the settings of the profile and cleans the secret, without
// asking anybody.
func (a *Agent) prepare(old Record, req ipc.LoginRequest) (Record, provider.Credential, error) {
	rec := old
	if req.Provider != "" && req.Provider != old.Provider {
		rec = Record{Store: old.Store} // the rest means nothing to another provider
	}
	rec.LoggedIn, rec.LoggedOut, rec.Refusal = a.Clock.Now().Wall.UTC(), false, nil
	rec.Underway, rec.Pending = time.Time{}, false
	rec.TokenName, rec.Username, rec.Expiry, rec.CheckedAt = "", "", nil, time.Time{}
	rec.Deactivated, rec.CreatedAt, rec.Told, rec.Unknown = false, time.Time{}, nil, nil
	for _, f := range []struct {
		to    *string
		asked string
	}{
		{&rec.Provider, req.Provider}, {&rec.Store, req.Store}, {&rec.ClientID, req.ClientID},
		{&rec.User, req.User}, {&rec.CA, req.CA}, {&rec.ResourceScope, req.ResourceScope},
	} {
		if f.asked != "" {
			*f.to = f.asked
		}
	}
	if rec.Provider == "" {
		rec.Provider = provider.CSP
	}
	if len(req.Scope) > 0 {
		rec.Scope = req.Scope
	}
	p := a.Providers[rec.Provider]
	if p == nil {
		return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "choose one with --provider", "there is no provider %q", rec.Provider)
	}
	if req.Server != "" || rec.Origin == "" {
		origin, err := p.Origin(req.Server)
		if err != nil {
			return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "check --server", "%v", err)
		}
		if origin != old.Origin {
			// Orgs of one server mean nothing to another, and its CA need not
			// be trusted there.
			rec.Org, rec.CA = "", req.CA
		}
		rec.Origin = origin
	}
	if req.Org != "" {
		rec.Org = req.Org
	}
	if rec.CA != "" {
		if !x509.NewCertPool().AppendCertsFromPEM([]byte(rec.CA)) {
			return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "give the CA's certificate as PEM", "the CA file holds no PEM certificate")
		}
	}
	if rec.ResourceScope != "" && !json.Valid([]byte(rec.ResourceScope)) {
		return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "it is the JSON of a ServicesPermissionsScopesDto", "the resource scope is not JSON")
	}
	sec, err := p.CheckSecret(req.Secret.Reveal())
	if err != nil {
		return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "", "%v", err)
	}
	if rec.Store == "" {
		rec.Store = provider.Keychain
		if a.DefaultStore != nil && a.DefaultStore() != "" {
			rec.Store = a.DefaultStore()
		}
	}
	if a.Stores[rec.Store] == nil {
		return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "the stores are "+strings.Join(slices.Sorted(maps.Keys(a.Stores)), " and "), "there is no store %q", rec.Store)
	}
	cred := provider.Credential{Secret: sec, CA: []byte(rec.CA)}
	cred.Binding = provider.Binding(rec.binding())
	return rec, cred, nil
}

// verified is what the server said of a secret at login.
type verified struct {
	details  provider.Details
	detailed bool
	entry    *entry // of the first exchange
	refusal  *Refusal
	warnings []string
}

// verify asks the server for the details of a secret and for one exchange.
func (a *Agent) verify(ctx context.Context, acct *account, rec Record, cred provider.Credential, up provider.Request) (verified, error) {
	var v verified
	a.awake(a.Clock.Now())
	d, err := a.Providers[rec.Provider].Details(ctx, cred)
	switch e, _ := provider.AsError(err); {
	case err == nil:
		v.details, v.detailed = d, true
		if d.Deactivated {
			return v, &provider.Error{Class: provider.Permanent, Message: "the API token is deactivated"}
		}
	case errors.Is(err, provider.ErrNoDetails):
	case e != nil && (e.Class == provider.Permanent || e.Class == provider.WrongServer):
		return v, err
	default:
		// The exchange decides. Without details only the expiry is unknown.
		v.warnings = append(v.warnings, "the server told nothing about the API token, so its expiry is not known: "+err.Error())
	}
	rec.account = acct
	v.entry, err = a.exchange(ctx, rec, cred, up)
	a.exchanged(rec, v.entry, err, false)
	if e, _ := provider.AsError(err); e != nil && e.Class == provider.PasscodeNeeded && up.Passcode.IsZero() {
		v.refusal = &Refusal{Error: wireError(err, acct.name), At: a.Clock.Now().Wall}
		v.warnings = append(v.warnings, "each exchange needs a one-time passcode: cspctl token "+acct.name+" --passcode NNNNNN")
		return v, nil
	}
	return v, err
}

// into completes the settings and the binding by what the server said.
func (v verified) into(rec *Record, cred *provider.Credential, req ipc.LoginRequest, old Record) error {
	known := old.Org
	if old.Origin != rec.Origin {
		known = ""
	}
	org := v.details.OrgID
	switch {
	case req.Org != "" && org != "" && req.Org != org:
		return errorf(ipc.CodeBadRequest, "check --org", "the API token belongs to org %s, not to %s", org, req.Org)
	case org == "" && req.Org != "":
		org = req.Org
	case org == "":
		org = rec.Org
	}
	if known != "" && org != known && !req.Replace {
		return errorf(ipc.CodeOrgDiffers, "give --replace to switch the profile to it, or log in to another profile",
			"the new API token belongs to org %s, the profile's to %s", org, known)
	}
	rec.Org, rec.Refusal = org, v.refusal
	if v.detailed {
		rec.learn(v.details, rec.LoggedIn.Truncate(time.Second))
	}
	cred.Binding = provider.Binding(rec.binding())
	return nil
}

func firstOf(s ...string) string {
	for _, s := range s {
		if s != "" {
			return s
		}
	}
	return ""
}

// account is the one that the profile gets, with what the trial brought.
func (v verified) account(trial *account, up provider.Request, now Instant) *account {
	acct := newAccount(trial.name, v.refusal, now)
	acct.inherit(trial)
	if v.entry != nil {
		s, _ := acct.slot(up)                // there is room: it is the first
		_, _ = s.receive(v.entry, true, now) // nor was there a token before
		acct.passcode = !up.Passcode.IsZero()
	}
	return acct
}
