package vcd

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"

	"github.com/cspctl/cspctl/internal/upstream"
)

// said reads an error body: type Error of the OpenAPI, its XML form in the
// older API, or OAuth's (RFC 6749, section 5.2). The stack trace, which may be
// huge, is left out.
func said(r upstream.Reply) upstream.Said {
	var code, message, oauth string
	switch r.Form() {
	case upstream.JSON:
		b := upstream.Fields(r.Body)
		text := func(raw json.RawMessage) string { return upstream.Scalar(raw) }
		oauth = text(b["error"])
		code = upstream.First(text(b["minorErrorCode"]), oauth)
		message = upstream.First(text(b["message"]), text(b["error_description"]))
	case upstream.XML:
		code, message = xmlError(r)
	case upstream.Empty, upstream.HTML, upstream.Other:
	}
	return upstream.Said{
		Code:  r.Clean.Identifier(code),
		Grant: upstream.First(upstream.GrantError(code), upstream.GrantError(oauth)),
		Text:  r.Clean.Text(message, upstream.MaxText),
	}
}

// xmlError reads <Error majorErrorCode="" minorErrorCode="" message="" stackTrace="">.
func xmlError(r upstream.Reply) (code, message string) {
	body := r.Body
	if r.TooLong {
		// The attribute that was cut is the stack trace, or else the message.
		body = append(bytes.Clone(body), `"/>`...)
	}
	root, ok := firstElement(body)
	if !ok || root.Name.Local != "Error" {
		return "", ""
	}
	for _, a := range root.Attr {
		switch a.Name.Local {
		case "minorErrorCode":
			code = a.Value
		case "message":
			message = a.Value
		}
	}
	return code, message
}

func firstElement(body []byte) (xml.StartElement, bool) {
	d := lenientXML(body)
	for {
		t, err := d.Token()
		if err != nil {
			return xml.StartElement{}, false
		}
		if e, ok := t.(xml.StartElement); ok {
			return e, true
		}
	}
}

func lenientXML(body []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = false
	// What is read is ASCII in every encoding that a server may claim.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return d
}
