package sim

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// vcdError is an error of Cloud Director: JSON, or XML in the older API and
// where a fault says so.
func (q *request) vcdError(status int, minor, message string) answer {
	trace := ""
	if n := q.fault.StackTrace; n > 0 {
		const line = "com.vmware.vcloud.sim.Simulator.answer(Simulator.java:1)\n"
		trace = strings.Repeat(line, n/len(line)+1)
	}
	if q.fault.XML || q.endpoint == VCDLegacy {
		return textAnswer(status, "application/vnd.vmware.vcloud.error+xml", fmt.Sprintf(
			`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n"+
				`<Error xmlns="http://www.vmware.com/vcloud/v1.5" majorErrorCode="%d" message="%s" minorErrorCode="%s" stackTrace="%s"></Error>`,
			status, xmlText(message), xmlText(minor), xmlText(trace)))
	}
	var stack any
	if trace != "" {
		stack = trace
	}
	a := jsonAnswer(status, map[string]any{"minorErrorCode": minor, "message": message, "stackTrace": stack})
	if status == http.StatusUnauthorized {
		a.header.Set("Www-Authenticate", `Basic realm="VMware Cloud Director"`)
	}
	return a
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
