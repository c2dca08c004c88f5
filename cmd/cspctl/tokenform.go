package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

// formatToken returns all of stdout. The raw form, which scripts wait for most
// often, runs none of encoding/json.
func formatToken(r ipc.TokenReply, o tokenOptions, execVersion string, now time.Time) (string, error) {
	token := r.Token.Reveal()
	if !printable(token) {
		return "", failed(ipc.CodeInternal, "the agent answered with something that is not a token", "end the agent: the next cspctl starts a new one")
	}
	switch o.output {
	case "header":
		if r.Provider != "csp" && r.Provider != "csp-app" {
			return "", usage("the header csp-auth-token is for csp profiles, and this one is "+quote(r.Provider), "use -o bearer")
		}
		return "csp-auth-token: " + token + "\n", nil
	case "bearer":
		return "Authorization: Bearer " + token + "\n", nil
	case "env":
		name := o.variable
		if name == "" {
			name = "CSP_AUTH"
		}
		return "export " + name + "='" + strings.ReplaceAll(token, "'", `'\''`) + "'\n", nil
	case "json":
		return tokenJSON(r, o.kind, now)
	case "exec-credential":
		return execCredential(r, execVersion)
	}
	return token + "\n", nil
}

// printable reports whether a token can stand in a header and in $(...): it is
// visible ASCII without spaces.
func printable(token string) bool {
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return token != ""
}

func tokenJSON(r ipc.TokenReply, kind string, now time.Time) (string, error) {
	doc := struct {
		Schema      int          `json:"schema"`
		AccessToken secret.Wire  `json:"access_token"`
		TokenType   string       `json:"token_type"`
		Kind        string       `json:"kind"`
		Profile     string       `json:"profile"`
		Provider    string       `json:"provider"`
		ExpiresAt   time.Time    `json:"expires_at"`
		ExpiresIn   int64        `json:"expires_in"` // seconds, rounded down
		Warning     *ipc.Warning `json:"warning,omitempty"`
	}{
		Schema: schema, AccessToken: secret.Wire{Text: r.Token}, TokenType: r.Type, Kind: kind,
		Profile: r.Profile, Provider: r.Provider,
		ExpiresAt: r.ExpiresAt.UTC().Truncate(time.Second), ExpiresIn: max(0, int64(r.ExpiresAt.Sub(now)/time.Second)),
	}
	if r.Warning != "" {
		doc.Warning = &ipc.Warning{Stage: r.WarningStage, Message: r.Warning}
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return "", failed(ipc.CodeInternal, err.Error(), "")
	}
	return string(b) + "\n", nil
}
