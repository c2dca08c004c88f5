package csp

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

// maxScopes bounds the scopes that are kept of an answer.
const maxScopes = 1000

// Details asks what the server knows about the API token. An expired or
// revoked one is unknown to it: class Permanent. Its error is a *provider.Error.
func (c *Client) Details(ctx context.Context, cred provider.Credential) (provider.Details, error) {
	body, err := json.Marshal(map[string]string{"tokenValue": cred.Secret.Reveal()})
	if err != nil {
		return provider.Details{}, upstream.Fail(provider.Refused, "the API token can't be sent", "", err)
	}
	r, err := c.do(ctx, cred, upstream.Call{Path: detailsPath, Type: "application/json", Body: string(body)})
	if err != nil {
		return provider.Details{}, err
	}
	if !r.Success() {
		e := r.Failure(said(r))
		if e.Class == provider.Permanent || r.Status == http.StatusNotFound && r.Form() == upstream.JSON {
			e.Class, e.Hint = provider.Permanent, newToken
			e.Message = "the API token is expired, revoked or unknown to " + r.Host
		}
		return provider.Details{}, e
	}
	d, e := readDetails(r, cred.Secret)
	if e != nil {
		return provider.Details{}, e
	}
	return d, nil
}

// detailsDTO is ApiTokenDetailsDto but for the field token, the secret itself.
type detailsDTO struct {
	Acct                 json.RawMessage `json:"acct"`
	AllowedScopes        json.RawMessage `json:"allowedScopes"`
	CreatedAt            json.RawMessage `json:"createdAt"`
	Deactivated          json.RawMessage `json:"deactivated"`
	DeactivatedUpdatedBy json.RawMessage `json:"deactivatedUpdatedBy"`
	DeactivatedUpdatedOn json.RawMessage `json:"deactivatedUpdatedOn"`
	Domain               json.RawMessage `json:"domain"`
	ExpiresAt            json.RawMessage `json:"expiresAt"`
	IdPID                json.RawMessage `json:"idpId"`
	LastUsedAt           json.RawMessage `json:"lastUsedAt"`
	OrgID                json.RawMessage `json:"orgId"`
	Scope                json.RawMessage `json:"scope"`
	TokenID              json.RawMessage `json:"tokenId"`
	TokenName            json.RawMessage `json:"tokenName"`
	UserID               json.RawMessage `json:"userId"`
	Username             json.RawMessage `json:"username"`
}

func readDetails(r upstream.Reply, sent secret.Text) (provider.Details, *provider.Error) {
	var none provider.Details
	if r.Form() == upstream.HTML {
		return none, r.WebPage()
	}
	var b detailsDTO
	if r.TooLong || json.Unmarshal(r.Body, &b) != nil {
		return none, r.Wrong("sent an answer that is no API token's details")
	}
	clean := upstream.NewCleaner(upstream.LabelRemainSize, sent)
	label := func(raw json.RawMessage) string { return clean.Label(upstream.Scalar(raw), upstream.MaxLabel) }
	d := provider.Details{
		TokenID: label(b.TokenID), TokenName: label(b.TokenName), OrgID: label(b.OrgID),
		UserID: label(b.UserID), Username: label(b.Username), Acct: label(b.Acct), Domain: label(b.Domain), IdPID: label(b.IdPID),
		Scope:         labels(clean, upstream.List(b.Scope)),
		AllowedScopes: allowedScopes(clean, b.AllowedScopes),
		CreatedAt:     instant(b.CreatedAt),
		LastUsedAt:    instant(b.LastUsedAt),
		Expiry:        expiry(b.ExpiresAt, r.Now()),
		Deactivated:   strings.EqualFold(upstream.Scalar(b.Deactivated), "true") || upstream.Scalar(b.Deactivated) == "1",
		DeactivatedBy: label(b.DeactivatedUpdatedBy),
		DeactivatedOn: instant(b.DeactivatedUpdatedOn),
	}
	if d.TokenID == "" && d.TokenName == "" && d.OrgID == "" && d.UserID == "" && d.Username == "" && b.CreatedAt == nil && b.ExpiresAt == nil {
		return none, r.Wrong("sent an answer that is no API token's details")
	}
	for name, raw := range map[string]json.RawMessage{"createdAt": b.CreatedAt, "lastUsedAt": b.LastUsedAt,
		"expiresAt": b.ExpiresAt, "deactivatedUpdatedOn": b.DeactivatedUpdatedOn} {
		if s := clean.Label(string(raw), 40); s != "" {
			if d.RawTimes == nil {
				d.RawTimes = map[string]string{}
			}
			d.RawTimes[name] = s
		}
	}
	return d, nil
}

// instant reads a timestamp of the past; zero if there is none.
func instant(raw json.RawMessage) time.Time {
	t, _, ok := upstream.Timestamp(raw)
	if !ok {
		return time.Time{}
	}
	return t
}

// expiry reads expiresAt. No published answer shows how the server writes
// "never": whatever can't be a date, or lies ten years ahead, is taken for it.
func expiry(raw json.RawMessage, now time.Time) provider.Expiry {
	t, never, ok := upstream.Timestamp(raw)
	switch {
	case !ok:
		return provider.Expiry{}
	case never || t.After(now.Add(upstream.TenYears)):
		return provider.Expiry{Known: true, Never: true}
	}
	return provider.Expiry{Known: true, At: t}
}

func labels(clean upstream.Cleaner, words []string) []string {
	var out []string
	for _, w := range words[:min(len(words), maxScopes)] {
		if w = clean.Label(w, upstream.MaxLabel); w != "" {
			out = append(out, w)
		}
	}
	return out
}
