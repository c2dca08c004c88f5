package upstream

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// TenYears is the horizon beyond which a lifetime is not believed to be meant.
const TenYears = 10 * 365 * 24 * time.Hour

// Number reads a JSON number, or a string that holds one. Types vary: CSP's
// moduleCode is seen in both forms.
func Number(raw json.RawMessage) (float64, bool) {
	v, err := strconv.ParseFloat(Scalar(raw), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}

// Bool reads a JSON boolean, or a string or number that stands for one. ok is
// false for anything else.
func Bool(raw json.RawMessage) (v, ok bool) {
	v, err := strconv.ParseBool(strings.ToLower(Scalar(raw)))
	return v, err == nil
}

// Scalar returns the text of a JSON string, number or boolean, else "".
func Scalar(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '{', '[', 'n':
		return ""
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return strings.TrimSpace(s)
	}
	return string(raw)
}

// List reads a JSON array of strings, or one string of words.
func List(raw json.RawMessage) []string {
	var words []string
	if json.Unmarshal(raw, &words) == nil {
		return words
	}
	return strings.Fields(Scalar(raw))
}

// Fields reads the fields of a JSON object, of one that breaks off too: those
// that are complete. Anything else has none.
func Fields(body []byte) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fields
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			break
		}
		key, ok := name.(string)
		var value json.RawMessage
		if !ok || d.Decode(&value) != nil {
			break
		}
		fields[key] = value
	}
	return fields
}

// Lifetime reads expires_in (RFC 6749, section 5.1): seconds. Missing, not
// positive and absurd ones are 0 (T3).
func Lifetime(raw json.RawMessage) time.Duration {
	v, ok := Number(raw)
	if !ok || v <= 0 || v > TenYears.Seconds() {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// Timestamp reads a time in RFC 3339, with or without an offset, or one that
// CSP documents in seconds since 1970 and that clients in the field have read
// in milliseconds: the size tells which (1e11 s is the year 5138, 1e11 ms is
// 1973). never is set for what stands for no time at all: missing, null, 0 or
// before 1970, after 9999, the largest int32 or int64.
func Timestamp(raw json.RawMessage) (t time.Time, never, ok bool) {
	if len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return time.Time{}, true, true
	}
	v, ok := Number(raw)
	if !ok {
		return textTime(Scalar(raw))
	}
	if v > 100_000_000_000 {
		v /= 1000
	}
	const year9999 = 253402300799
	if v <= 0 || v > year9999 || int64(v) == math.MaxInt32 {
		return time.Time{}, true, true
	}
	whole, frac := math.Modf(v)
	return time.Unix(int64(whole), int64(math.Round(frac*1e3))*1e6).UTC(), false, true
}

func textTime(s string) (t time.Time, never, ok bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			t = t.UTC()
			if y := t.Year(); y < 1970 || y > 9999 {
				return time.Time{}, true, true
			}
			return t, false, true
		}
	}
	return time.Time{}, false, false
}
