package sink

import (
	"encoding/json"

	"github.com/cspctl/cspctl/internal/ipc"
)

// form returns what the file of a sink holds.
func form(format string, t ipc.Token) ([]byte, *ipc.Error) {
	token := t.AccessToken.Reveal()
	if !ipc.IsToken(token) {
		return nil, &ipc.Error{Code: ipc.CodeInternal, Message: "what the agent has is no token"}
	}
	switch format {
	case ipc.SinkJSON:
		t.ExpiresIn, t.Warning = 0, nil // true at the moment alone
		b, err := json.MarshalIndent(struct {
			Schema int `json:"schema"`
			ipc.Token
		}{1, t}, "", "  ")
		if err != nil {
			return nil, &ipc.Error{Code: ipc.CodeInternal, Message: err.Error()}
		}
		return append(b, '\n'), nil
	case ipc.SinkHeader:
		if bad := headerFor(t.Provider, t.Profile); bad != nil {
			return nil, bad
		}
		return []byte(ipc.HeaderLine(ipc.HeaderFormCSP, token) + "\n"), nil
	case ipc.SinkBearer:
		return []byte(ipc.HeaderLine(ipc.HeaderFormBearer, token) + "\n"), nil
	}
	return []byte(token + "\n"), nil
}

func headerFor(provider, profile string) *ipc.Error {
	if ipc.IsCloudServices(provider) {
		return nil
	}
	return &ipc.Error{Code: ipc.CodeBadRequest, Hint: "use --format bearer",
		Message: "the header csp-auth-token is for csp profiles, and " + profile + " is a profile of " + provider}
}
