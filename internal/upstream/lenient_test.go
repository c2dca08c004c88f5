package upstream

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTimestampReadsEveryFormSeen(t *testing.T) {
	for raw, want := range map[string]string{
		`1800000000`: "2027-01-15T08:00:00Z", `1800000000123`: "2027-01-15T08:00:00.123Z", `"1800000000"`: "2027-01-15T08:00:00Z",
		`"2027-01-15T08:00:00Z"`: "2027-01-15T08:00:00Z", `"2027-01-15T08:00:00.5+01:00"`: "2027-01-15T07:00:00.5Z",
		`"2027-01-15T08:00:00.000+0000"`: "2027-01-15T08:00:00Z", `"2027-01-15T08:00:00"`: "2027-01-15T08:00:00Z",
		``: "never", `null`: "never", ` null `: "never", `0`: "never", `-5`: "never", `2147483647`: "never", `9223372036854775807`: "never", `1e300`: "never",
		`"0001-01-01T00:00:00Z"`: "never", `"9999-12-31T23:59:59-01:00"`: "never", `"1969-12-31T23:59:59Z"`: "never",
		`"soon"`: "", `""`: "", `{}`: "", `[]`: "", `true`: "", `"2027-01-15"`: "", `"NaN"`: "",
	} {
		got, never, ok := Timestamp(json.RawMessage(raw))
		s := got.Format(time.RFC3339Nano)
		switch {
		case !ok:
			s = ""
		case never:
			s = "never"
		}
		if s != want || (never || !ok) && !got.IsZero() {
			t.Errorf("%s: got %q, want %q", raw, s, want)
		}
	}
}

func TestBool(t *testing.T) {
	for raw, want := range map[string]string{
		`true`: "true", `false`: "false", `"True"`: "true", `1`: "true", `0`: "false", `null`: "", ``: "", `"yes"`: "", `{}`: "", `2`: "",
	} {
		v, ok := Bool(json.RawMessage(raw))
		got := map[bool]string{true: "true", false: "false"}[v]
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}

func TestFieldsOfWhatBreaksOff(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1,"b":{"c":[2]}}`: `a=1 b={"c":[2]}`,
		`{"a":1,"b":"x`:         `a=1`,
		`{"a":1,"b":`:           `a=1`,
		`{"a":1,"b`:             `a=1`,
		`{"a":1,`:               `a=1`,
		`{"a":1} trailing`:      `a=1`,
		`{"a":1 "b":2}`:         `a=1`,
		`{"a":1,"a":2}`:         `a=2`,
		`{`:                     ``,
		`[{"a":1}]`:             ``,
		`"a"`:                   ``,
		``:                      ``,
		"\x00":                  ``,
	} {
		fields := Fields([]byte(body))
		var got []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			got = append(got, name+"="+string(fields[name]))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %s, want %s", body, s, want)
		}
	}
}

func TestLongJSONIsJSONStill(t *testing.T) {
	r := answered(400, "", `{"message":"no","stackTrace":"at com.example`)
	if r.Form() == JSON {
		t.Error("half an object counts as JSON")
	}
	if r.TooLong = true; r.Form() != JSON {
		t.Error("the start of a long object is no JSON")
	}
}

func FuzzLenient(f *testing.F) {
	f.Add(`{"expires_in":"1799","expirationTimeUtc":"2026-11-20T12:00:00.000+0000","requireRotation":null}`)
	f.Add(`{"a":1e400,"b":[`)
	f.Fuzz(func(t *testing.T, body string) {
		whole := map[string]json.RawMessage{}
		valid := json.Unmarshal([]byte(body), &whole) == nil && whole != nil
		fields := Fields([]byte(body))
		if valid && len(fields) != len(whole) {
			t.Errorf("%d fields, want %d", len(fields), len(whole))
		}
		for _, raw := range fields {
			if at, _, _ := Timestamp(raw); !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
				t.Errorf("%s: year %d", raw, at.Year())
			}
			if d := Lifetime(raw); d < 0 || d > TenYears {
				t.Errorf("%s: life %v", raw, d)
			}
		}
	})
}
