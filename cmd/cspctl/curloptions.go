package main

import "strings"

// curlOption is an option of curl that is taken; see curl(1).
type curlOption struct {
	long    string
	short   byte // 0: none
	value   bool
	content bool // the value may have any characters: it is what is sent
}

// curlOptions are those that let the token go nowhere else, and show it nowhere.
var curlOptions = []curlOption{
	{long: "request", short: 'X', value: true},
	{long: "data", short: 'd', value: true, content: true},
	{long: "data-ascii", value: true, content: true},
	{long: "data-raw", value: true, content: true},
	{long: "data-binary", value: true, content: true},
	{long: "data-urlencode", value: true, content: true},
	{long: "json", value: true, content: true},
	{long: "form", short: 'F', value: true, content: true},
	{long: "form-string", value: true, content: true},
	{long: "get", short: 'G'},
	{long: "upload-file", short: 'T', value: true},
	{long: "header", short: 'H', value: true},
	{long: "user-agent", short: 'A', value: true},
	{long: "range", short: 'r', value: true},
	{long: "time-cond", short: 'z', value: true},
	{long: "compressed"},
	{long: "output", short: 'o', value: true},
	{long: "remote-name", short: 'O'},
	{long: "remote-time", short: 'R'},
	{long: "output-dir", value: true},
	{long: "create-dirs"},
	{long: "silent", short: 's'},
	{long: "show-error", short: 'S'},
	{long: "progress-bar", short: '#'},
	{long: "no-progress-meter"},
	{long: "fail", short: 'f'},
	{long: "fail-with-body"},
	{long: "include", short: 'i'},
	{long: "head", short: 'I'},
	{long: "write-out", short: 'w', value: true, content: true},
	{long: "no-buffer", short: 'N'},
	{long: "continue-at", short: 'C', value: true},
	{long: "max-time", short: 'm', value: true},
	{long: "connect-timeout", value: true},
	{long: "max-filesize", value: true},
	{long: "limit-rate", value: true},
	{long: "retry", value: true},
	{long: "retry-delay", value: true},
	{long: "retry-max-time", value: true},
	{long: "retry-connrefused"},
	{long: "retry-all-errors"},
	{long: "ipv4", short: '4'},
	{long: "ipv6", short: '6'},
	{long: "http1.1"},
	{long: "http2"},
	{long: "tlsv1.2"},
	{long: "tlsv1.3"},
	{long: "cacert", value: true},
}

func curlLong(name string) (curlOption, bool) {
	for _, o := range curlOptions {
		if o.long == name {
			return o, true
		}
	}
	return curlOption{}, false
}

func curlShort(c byte) (curlOption, bool) {
	for _, o := range curlOptions {
		if o.short == c {
			return o, true
		}
	}
	return curlOption{}, false
}

// readsStdin reports whether a value means stdin.
func (o curlOption) readsStdin(value string) bool {
	switch o.long {
	case "upload-file":
		return value == "-" || value == "."
	case "form":
		return strings.Contains(value, "@-") || strings.Contains(value, "<-")
	case "data-urlencode":
		return strings.HasSuffix(value, "@-")
	case "data", "data-ascii", "data-binary", "json", "write-out":
		return value == "@-"
	case "cacert", "time-cond":
		return value == "-"
	}
	return false
}

// curlReasons say why an option is refused.
var curlReasons = map[string]string{
	"--location":         "curl takes the token along to whatever host the answer names",
	"--location-trusted": "curl takes the token along to whatever host the answer names",
	"--config":           "a file could hold any other option",
	"--next":             "there is one URL, and the token would go to the next one too",
	"--url":              "there is one URL, which stands by itself",
	"--connect-to":       "the token would go to another host than the URL's",
	"--resolve":          "the token would go to another host than the URL's",
	"--insecure":         "the token would go to whoever answers; for a CA of your own: --cacert",
	"--proxy":            "it is for the environment to say: HTTPS_PROXY",
	"--verbose":          "it shows the token",
	"--trace":            "it shows the token",
	"--trace-ascii":      "it shows the token",
	"--trace-config":     "it shows the token",
	"--user":             "the token is what says who asks",
	"--oauth2-bearer":    "the token is what says who asks",
}

func refusedCurl(as string) error {
	for short, long := range map[string]string{"-L": "--location", "-K": "--config", "-k": "--insecure", "-x": "--proxy", "-v": "--verbose", "-u": "--user", "-:": "--next"} {
		if as == short {
			as = short + " (" + long + ")"
			return usage("curl's "+as+" is not taken: "+curlReasons[long], "leave it out")
		}
	}
	if why := curlReasons[as]; why != "" {
		return usage("curl's "+as+" is not taken: "+why, "leave it out")
	}
	return usage("not among the options of curl that are taken: "+quote(as), "see: cspctl help curl")
}
