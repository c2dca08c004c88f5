package csp

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// tenYears is the horizon beyond which a lifetime is not believed to be meant.
const tenYears = 10 * 365 * 24 * time.Hour

// number reads a JSON number, or a string that holds one. CSP's types vary:
// moduleCode is seen in both forms.
func number(raw json.RawMessage) (float64, bool) {
	v, err := strconv.ParseFloat(scalar(raw), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}

// scalar returns the text of a JSON string, number or boolean, else "".
func scalar(raw json.RawMessage) string {
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

// list reads a JSON array of strings, or one string of words.
func list(raw json.RawMessage) []string {
	var words []string
	if json.Unmarshal(raw, &words) == nil {
		return words
	}
	return strings.Fields(scalar(raw))
}

// lifetime reads expires_in (RFC 6749, section 5.1): seconds. Missing, not
// positive and absurd ones are 0 (T3).
func lifetime(raw json.RawMessage) time.Duration {
	v, ok := number(raw)
	if !ok || v <= 0 || v > tenYears.Seconds() {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// timestamp reads a time that CSP documents in seconds since 1970 and that
// clients in the field have read in milliseconds: the size tells which (1e11 s
// is the year 5138, 1e11 ms is 1973). never is set for what stands for no time
// at all: 0, negative, missing, null, the largest int32 or int64.
func timestamp(raw json.RawMessage) (t time.Time, never, ok bool) {
	if len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return time.Time{}, true, true
	}
	v, ok := number(raw)
	if !ok {
		t, err := time.Parse(time.RFC3339, scalar(raw))
		return t.UTC(), false, err == nil
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
