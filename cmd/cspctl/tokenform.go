package main

import (
	"encoding/json"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// formatToken returns all of stdout. The raw form, which scripts wait for most
// often, runs none of encoding/json.
func formatToken(r ipc.TokenReply, o tokenOptions, execVersion string) (string, error) {
	token := r.Token.Reveal()
	if !ipc.IsToken(token) {
		return "", failed(ipc.CodeInternal, "the agent answered with something that is not a token", "replace it: csp-agent restart")
	}
	switch o.output {
	case "header":
		if !ipc.IsCloudServices(r.Provider) {
			return "", usage("the header csp-auth-token is for csp profiles, and this one is "+quote(r.Provider), "use -o bearer")
		}
		return ipc.HeaderLine(ipc.HeaderFormCSP, token) + "\n", nil
	case "bearer":
		return ipc.HeaderLine(ipc.HeaderFormBearer, token) + "\n", nil
	case "env":
		name := o.variable
		if name == "" {
			name = "CSP_AUTH"
		}
		return "export " + name + "='" + strings.ReplaceAll(token, "'", `'\''`) + "'\n", nil
	case "exec-credential":
		return execCredential(r, execVersion)
	}
	return token + "\n", nil
}

// tokenJSON is the document of -o json: the agent's, with its schema.
func tokenJSON(t ipc.Token) (string, error) {
	b, err := json.MarshalIndent(struct {
		Schema int `json:"schema"`
		ipc.Token
	}{schema, t}, "", "  ")
	if err != nil {
		return "", failed(ipc.CodeInternal, err.Error(), "")
	}
	return visible(string(b)) + "\n", nil
}
