package sim

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

const page = `<!DOCTYPE html>
<html><head><title>Sign in to the network</title></head>
<body><h1>Sign in to the network</h1><p>Incident 0</p></body></html>
`

// instead is the answer that replaces the endpoint's own, if any does.
func (f *Fault) instead(q *request) (answer, bool) {
	status := func(otherwise int) int { return cmp.Or(f.Status, otherwise) }
	switch {
	case f.Redirect != "":
		a := answer{status: status(http.StatusTemporaryRedirect), header: http.Header{}}
		a.header.Set("Location", f.Redirect)
		return a, true
	case f.HTML:
		return textAnswer(status(http.StatusOK), "text/html; charset=utf-8", page), true
	case f.Empty:
		return answer{status: status(http.StatusUnauthorized), header: http.Header{}}, true
	case f.WrongJSON:
		return jsonAnswer(status(http.StatusOK), map[string]any{"status": "UP", "components": []string{"db", "ping"}}), true
	case f.Body != "":
		return textAnswer(status(http.StatusOK), cmp.Or(f.ContentType, "application/json"), f.Body), true
	case f.Status != 0:
		text := strings.ToLower(http.StatusText(f.Status))
		if q.vcd() {
			return q.vcdError(f.Status, "SERVICE_ERROR", cmp.Or(f.Message, text)), true
		}
		return q.refuse(f.Status, cmp.Or(f.Message, "CSP_COMMON/SERVICE_ERROR: "+text)), true
	}
	return answer{}, false
}

// send writes the answer, spoiled as the fault says.
func (f *Fault) send(w http.ResponseWriter, q *request, a answer) {
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h.Set("Date", q.now.UTC().Format(http.TimeFormat))
	if q.vcd() {
		h.Set("X-Vmware-Vcloud-Request-Id", guid())
	} else {
		h.Set("Csp-Request-Id", guid())
	}
	h.Set("Cache-Control", "no-store")
	if f.RetryAfter != "" {
		h.Set("Retry-After", f.RetryAfter)
	}
	body := a.body
	if f.Pad > 0 {
		body = append(bytes.Clone(body), bytes.Repeat([]byte(" "), f.Pad)...)
	}
	if f.Gzip {
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		_, _ = zw.Write(body)
		_ = zw.Close()
		body = z.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	if f.Truncate {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// spoilLife changes expires_in.
func (f *Fault) spoilLife(b map[string]any) {
	switch raw := string(f.ExpiresIn); raw {
	case "":
	case `"missing"`:
		delete(b, "expires_in")
	default:
		b["expires_in"] = f.ExpiresIn
	}
}

// refuse is a CspErrorResponse. Its cspErrorCode has the form of captured ones:
// a chain of modules and services.
func (q *request) refuse(status int, message string) answer {
	var module any = 340
	if q.fault.ModuleCodeString {
		module = "340"
	}
	return jsonAnswer(status, map[string]any{
		"metadata": nil, "traceId": randomHex(8), "statusCode": status, "message": message,
		"requestId": randomHex(16), "moduleCode": module, "cspErrorCode": "540.120-340.800",
	})
}

func jsonAnswer(status int, v any) answer {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own values
	}
	return textAnswer(status, "application/json;charset=UTF-8", string(b))
}

func textAnswer(status int, contentType, body string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {contentType}}, body: []byte(body)}
}
