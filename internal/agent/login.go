package agent

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
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
	acct := a.account(name)
	if err := take(ctx, acct.change); err != nil {
		return ipc.LoginResult{}, errorf(ipc.CodeBusy, "try again", "profile %s is being changed", name)
	}
	defer func() { acct.change <- struct{}{} }()

	_, old, bad := a.state.get(name)
	if bad != nil && bad.Code != ipc.CodeNoSuchProfile {
		return ipc.LoginResult{}, bad
	}
	rec, cred, err := a.prepare(name, old, req)
	if err != nil {
		return ipc.LoginResult{}, wireError(err, name)
	}
	up := upstream(rec, ipc.TokenRequest{})
	up.Passcode = req.Passcode.Text
	v := verified{}
	if !req.NoVerify {
		vctx, cancel := context.WithTimeout(a.ctx, loginTime)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		if v, err = a.verify(vctx, acct, rec, cred, up); err != nil {
			return ipc.LoginResult{}, loginError(err, name)
		}
	}
	if err := v.into(&rec, &cred, req, old); err != nil {
		return ipc.LoginResult{}, err
	}
	if err := a.commit(ctx, acct, name, old, rec, cred, req); err != nil {
		return ipc.LoginResult{}, wireError(err, name)
	}
	acct.forget(v.entry, up)
	if rec.Refusal != nil {
		acct.recall(rec.Refusal, a.Clock.Now())
	}
	a.rouse()
	a.Log.Info("logged in", "profile", name, "provider", rec.Provider, "server", rec.Origin, "store", rec.Store)

	result := ipc.LoginResult{Verified: v.entry != nil, Warnings: v.warnings}
	result.Profile, err = a.Profile(name)
	if err != nil {
		return ipc.LoginResult{}, err
	}
	if rec.Store == provider.Memory {
		result.Warnings = append(result.Warnings, "the secret is in the agent's memory alone: it is gone when the agent ends")
	}
	return result, nil
}

// loginError words a refusal for somebody who is just logging in.
func loginError(err error, name string) *ipc.Error {
	w := *wireError(err, name)
	switch w.Code {
	case ipc.CodeRefused:
		w.Hint = "copy the API token again, or make a new one in the console (My Account > API Tokens)"
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
func (a *Agent) prepare(name string, old Record, req ipc.LoginRequest) (Record, provider.Credential, error) {
	rec := old
	rec.LoggedIn, rec.LoggedOut, rec.Refusal = a.Clock.Now().Wall.UTC().Truncate(time.Second), false, nil
	rec.TokenName, rec.Username, rec.Expiry, rec.CheckedAt = "", "", nil, time.Time{}
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
	if req.Server != "" || rec.Origin == "" || req.Provider != "" && req.Provider != old.Provider {
		origin, err := p.Origin(req.Server)
		if err != nil {
			return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "check --server", "%v", err)
		}
		if origin != old.Origin {
			rec.Org = "" // orgs of one server mean nothing to another
		}
		rec.Origin = origin
	}
	if rec.CA != "" {
		if block, _ := pem.Decode([]byte(rec.CA)); block == nil || block.Type != "CERTIFICATE" {
			return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "give the CA's certificate as PEM", "the CA file holds no PEM certificate")
		}
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
		return rec, provider.Credential{}, errorf(ipc.CodeBadRequest, "the stores are keychain, file and memory", "there is no store %q", rec.Store)
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
	v.entry, err = a.exchange(ctx, acct, rec.Provider, cred, up)
	if e, _ := provider.AsError(err); e != nil && e.Class == provider.PasscodeNeeded && up.Passcode.IsZero() {
		v.refusal = &Refusal{Class: e.Class, Error: wireError(err, acct.name), At: a.Clock.Now().Wall}
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
		rec.TokenName = v.details.TokenName
		rec.Username = firstOf(v.details.Username, v.details.Acct, v.details.UserID)
		rec.Expiry, rec.CheckedAt = &v.details.Expiry, rec.LoggedIn
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

// commit stores the secret and writes the state; if the state can't be
// written, the secret that was there before is put back.
func (a *Agent) commit(ctx context.Context, acct *account, name string, old, rec Record, cred provider.Credential, req ipc.LoginRequest) error {
	prompt := provider.Prompt(req.Interactive)
	store := a.Stores[rec.Store]
	before, err := store.Get(ctx, name, prompt)
	had := err == nil
	if err != nil && !errors.Is(err, provider.ErrNoSecret) {
		if _, ok := errors.AsType[*provider.StoreError](err); ok {
			return storeChoices(err, rec.Store, req.Store)
		}
		// An item that can't be read is replaced, as a login is asked to do.
		a.Log.Warn("replacing an item that can't be read", "profile", name, "store", rec.Store, "err", err)
	}
	// Nobody may exchange the old secret while it is being replaced.
	if err := take(ctx, acct.turn); err != nil {
		return errorf(ipc.CodeBusy, "try again", "an exchange for profile %s is under way", name)
	}
	defer func() { acct.turn <- struct{}{} }()
	if err := store.Put(ctx, name, cred, prompt); err != nil {
		return storeChoices(err, rec.Store, req.Store)
	}
	bad := a.state.change(func(c *contents) *ipc.Error {
		c.Profiles[name] = &rec
		if c.Default == "" || req.Default {
			c.Default = name
		}
		return nil
	})
	if bad != nil {
		var undo error
		if had {
			undo = store.Put(context.WithoutCancel(ctx), name, before, provider.NoPrompt)
		} else {
			undo = store.Delete(context.WithoutCancel(ctx), name, provider.NoPrompt)
		}
		if undo != nil {
			a.Log.Error("a secret could not be put back", "profile", name, "store", rec.Store, "err", undo)
		}
		return bad
	}
	if old.Store != "" && old.Store != rec.Store && a.Stores[old.Store] != nil {
		if err := a.Stores[old.Store].Delete(ctx, name, prompt); err != nil {
			a.Log.Warn("the secret in the store used before could not be removed", "profile", name, "store", old.Store, "err", err)
		}
	}
	return nil
}

// storeChoices adds what else there is to the error of a store that the
// person did not choose.
func storeChoices(err error, kind, chosen string) error {
	w := *wireError(err, "")
	if chosen == "" && kind == provider.Keychain {
		const others = "--store file keeps it encrypted in a file, --store memory until the agent ends"
		w.Hint = fmt.Sprintf("%s; or choose another store: %s", w.Hint, others)
		if w.Hint[0] == ';' {
			w.Hint = w.Hint[2:]
		}
	}
	return &w
}
