package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// nagios returns the one line of a plugin, with performance data as
// https://www.monitoring-plugins.org/doc/guidelines.html has them: the seconds
// left of each token, with thresholds as ranges that alert below.
func (c *checks) nagios() string {
	var bad, perf []string
	soonest := ""
	var least time.Duration
	for _, k := range c.list {
		if k.verdict != fine {
			bad = append(bad, k.Profile+" "+k.text(c.now))
		}
		value := ""
		switch k.Status {
		case ipc.ExpiryKnown:
			value = strconv.FormatInt(seconds(k.left), 10) + "s"
			if soonest == "" || k.left < least {
				soonest, least = k.Profile+" "+k.text(c.now), k.left
			}
		case ipc.ExpiryUnknown:
			value = "U"
		default: // no end, no number
			continue
		}
		perf = append(perf, "'"+k.Profile+"'="+value+";"+below(c.warn)+";"+below(c.critical))
	}
	text := strings.Join(bad, "; ")
	if len(bad) == 0 {
		text = plural(len(c.list), "profile")
		if soonest != "" {
			text += ", the next: " + soonest
		}
	} else if n := len(c.list) - len(bad); n > 0 {
		text += "; " + strconv.Itoa(n) + " fine"
	}
	return nagiosLine(c.worst, text, strings.Join(perf, " "))
}

// below is the range that alerts for a value below d.
func below(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + ":" }

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// nagiosLine returns the line. The bar before the performance data is the only
// one in it.
func nagiosLine(v verdict, text, perf string) string {
	line := "CSP API TOKENS " + strings.ToUpper(v.String()) + ": " + strings.ReplaceAll(term.Clean(text), "|", "/")
	if perf != "" {
		line += " | " + perf
	}
	return line + "\n"
}

// prometheus returns the text exposition format, version 0.0.4:
// https://prometheus.io/docs/instrumenting/exposition_formats/
func (c *checks) prometheus() string {
	var b strings.Builder
	family := func(name, help string, value func(check) (string, bool)) {
		b.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n")
		for _, k := range c.list {
			if v, ok := value(k); ok {
				b.WriteString(name + labels("profile", k.Profile, "provider", k.Provider) + " " + v + "\n")
			}
		}
	}
	unix := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	truth := func(on bool) (string, bool) {
		if on {
			return "1", true
		}
		return "0", true
	}
	family("csp_api_token_expiry_timestamp_seconds", "When the API token expires, in seconds since 1970; +Inf if never, missing if not known.",
		func(k check) (string, bool) {
			switch k.Status {
			case ipc.ExpiryKnown:
				return unix(k.ExpiresAt), true
			case ipc.ExpiryNever:
				return "+Inf", true
			}
			return "", false
		})
	family("csp_api_token_expiry_unknown", "Whether the end of the API token is not known, though the system tells it.",
		func(k check) (string, bool) { return truth(k.Status == ipc.ExpiryUnknown) })
	family("csp_api_token_checked_timestamp_seconds", "When the server was last asked about the API token, in seconds since 1970.",
		func(k check) (string, bool) { return unix(k.CheckedAt), !k.CheckedAt.IsZero() })
	family("csp_api_token_refused", "Whether the server refuses the API token for good.",
		func(k check) (string, bool) { return truth(k.Refused) })
	family("csp_api_token_deactivated", "Whether the API token was deactivated in the console.",
		func(k check) (string, bool) { return truth(k.Deactivated) })

	const info = "csp_api_token_info"
	b.WriteString("# HELP " + info + " What the API token is called; always 1.\n# TYPE " + info + " gauge\n")
	for _, k := range c.list {
		b.WriteString(info + labels("profile", k.Profile, "provider", k.Provider, "server", k.Server, "org", k.Org, "token_name", k.TokenName) + " 1\n")
	}
	return b.String()
}

// labels returns pairs of name and value as they stand behind the name of a metric.
func labels(pairs ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("{,"[min(i, 1):min(i, 1)+1] + pairs[i] + `="` + escape.Replace(strings.ToValidUTF8(pairs[i+1], "\uFFFD")) + `"`)
	}
	return b.String() + "}"
}
