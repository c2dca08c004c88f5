// Package secret holds text that must not be printed by accident.
//
// A [Text] never shows its content through fmt, encoding/json, log/slog or
// encoding.TextMarshaler: each of them prints [Redacted]. The content leaves
// only through [Text.Reveal], which makes every place that uses it easy to
// find. Go strings cannot be wiped reliably (the runtime copies them), so this
// type protects against disclosure in output, not against reading the memory
// of the process; the agent makes itself non-dumpable for that.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
	"strconv"
)

// Redacted is what a non-empty secret prints as.
const Redacted = "[redacted]"

// Text is a secret string. The zero value is the empty secret. Compare with
// [Text.Equal], never with ==.
type Text struct {
	// A pointer, since fmt reads unexported fields by reflection and calls no
	// method on them: there it prints the address.
	p *string
}

// New wraps s.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{&s}
}

// Reveal returns the secret itself. Call it at the last moment, and never in
// an argument of a log or error call.
func (t Text) Reveal() string {
	if t.p == nil {
		return ""
	}
	return *t.p
}

// IsZero reports whether the secret is empty.
func (t Text) IsZero() bool { return t.p == nil }

// Len returns the length of the secret in bytes.
func (t Text) Len() int { return len(t.Reveal()) }

// Equal compares two secrets in constant time. Their lengths are not hidden.
func (t Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String implements fmt.Stringer.
func (t Text) String() string {
	if t.IsZero() {
		return ""
	}
	return Redacted
}

// Format implements fmt.Formatter, so that no verb, %#v and %x included,
// reaches the content.
func (t Text) Format(f fmt.State, verb rune) {
	s := t.String()
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		s = strconv.Quote(s)
	}
	_, _ = f.Write([]byte(s))
}

// GoString implements fmt.GoStringer.
func (t Text) GoString() string { return strconv.Quote(t.String()) }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText implements encoding.TextMarshaler, and with it the JSON form.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Text) UnmarshalText(b []byte) error {
	*t = New(string(b))
	return nil
}

// Wire is a secret whose JSON form is its content. It exists for the fields of
// messages and stored items that carry a secret by design; everywhere else it
// prints like a [Text].
type Wire struct{ Text }

// NewWire wraps s.
func NewWire(s string) Wire { return Wire{New(s)} }

// MarshalText implements encoding.TextMarshaler with the content.
func (w Wire) MarshalText() ([]byte, error) { return []byte(w.Reveal()), nil }
