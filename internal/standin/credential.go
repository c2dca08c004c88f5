package standin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

// credentialOf finds what a client sends in the place of its API token, in the
// forms that public clients use: api_token or refresh_token in a form, whatever
// its Content-Type, in JSON or in the query; or the secret of an OAuth app, in
// Basic authentication or as client_secret (RFC 6749, section 2.3.1), and then
// app is true. It is "" if there is none.
func credentialOf(r *http.Request, body []byte) (tried string, app bool) {
	form, _ := url.ParseQuery(string(body)) // what can be read
	for _, v := range []url.Values{form, inJSON(body), r.URL.Query()} {
		for _, name := range []string{"api_token", "refresh_token", "refreshToken"} {
			if t := v.Get(name); t != "" {
				return t, false
			}
		}
	}
	if _, password, ok := r.BasicAuth(); ok && password != "" {
		return password, true
	}
	return form.Get("client_secret"), true
}

// inJSON are the texts of a JSON object.
func inJSON(body []byte) url.Values {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	v := url.Values{}
	for name, raw := range fields {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			v.Set(name, s)
		}
	}
	return v
}

func secretOf(b []byte) secret.Text { return secret.New(string(b)) }

// asError is an error of the agent's, whatever else it is.
func asError(err error) *ipc.Error {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e
	}
	return &ipc.Error{Code: ipc.CodeInternal, Message: "the agent has met with an error, which its log tells"}
}
