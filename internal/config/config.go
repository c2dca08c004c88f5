// Package config reads the settings: the file config.toml, which people write
// and the agent only reads. Nothing in it can be set over the wire.
package config

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/net/http/httpproxy"

	"github.com/cspctl/cspctl/internal/atomicfile"
)

// Settings are the contents of config.toml. The zero value is the default of
// each.
type Settings struct {
	// Store is where a login keeps its secret unless it says otherwise:
	// keychain (the default), file or memory.
	Store string `toml:"store"`

	// HTTPSProxy is the proxy for the calls to the servers, as a URL; the
	// environment's HTTPS_PROXY and HTTP_PROXY if empty. A service does not
	// inherit the environment of a shell, so this is the place that always works.
	HTTPSProxy string `toml:"https_proxy"`
	// NoProxy lists the hosts to be reached directly, as NO_PROXY does.
	NoProxy string `toml:"no_proxy"`
	// CAFile is a PEM file of CAs that are trusted besides the system's own,
	// for every profile: the one of a proxy that opens TLS, for example.
	CAFile string `toml:"ca_file"`

	// AllowRoot lets root use the socket of another user's agent. Nil: that of
	// the system service alone, whose administrator root is.
	AllowRoot *bool `toml:"allow_root"`

	// LogLevel is debug, info (the default), warn or error.
	LogLevel string `toml:"log_level"`

	Curl     Curl               `toml:"curl"`
	Expiry   Expiry             `toml:"expiry"`
	Hook     Hook               `toml:"hook"`
	Lock     Lock               `toml:"lock"`
	Profiles map[string]Profile `toml:"profiles"`
	Sockets  []Socket           `toml:"sockets"`
	Sinks    Sinks              `toml:"sinks"`
	Tools    map[string]Tool    `toml:"tools"`

	ca []byte
}

// maxFile bounds the settings and the CA file, in bytes.
const maxFile = 1 << 20

// Error is a settings file that cannot be used. Its text names the line.
type Error struct {
	Path string
	Line int // from 1; 0 if the trouble has no line
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Text)
}

// Load reads the settings. A missing file is an empty one; an unknown key, a
// value of the wrong type and a value that means nothing are errors of type
// *Error.
func Load(path string) (Settings, error) {
	b, err := atomicfile.Read(path, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, &Error{Path: path, Text: err.Error()}
	}
	s, err := parse(path, b)
	if err != nil {
		return Settings{}, err
	}
	if s.CAFile != "" {
		if s.ca, err = atomicfile.Read(s.CAFile, maxFile); err != nil {
			return Settings{}, &Error{path, lineOf(b, "ca_file"), err.Error()}
		}
		if !x509.NewCertPool().AppendCertsFromPEM(s.ca) {
			return Settings{}, &Error{path, lineOf(b, "ca_file"), s.CAFile + " holds no PEM certificate"}
		}
	}
	return s, nil
}

func parse(path string, b []byte) (Settings, error) {
	var s Settings
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&s)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		line, _ := first.Position()
		return Settings{}, &Error{path, line, "there is no setting " + strings.Join(first.Key(), ".")}
	}
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := d.Position()
		return Settings{}, &Error{path, line, strings.TrimPrefix(d.Error(), "toml: ")}
	}
	if err != nil {
		return Settings{}, &Error{path, 0, err.Error()}
	}
	switch s.Store {
	case "", "keychain", "file", "memory":
	default:
		return Settings{}, &Error{path, lineOf(b, "store"), "store is keychain, file or memory"}
	}
	if _, err := s.level(); err != nil {
		return Settings{}, &Error{path, lineOf(b, "log_level"), "log_level is debug, info, warn or error"}
	}
	if s.HTTPSProxy != "" {
		u, err := url.Parse(s.HTTPSProxy)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
			return Settings{}, &Error{path, lineOf(b, "https_proxy"), "https_proxy is a URL like http://proxy.example:3128"}
		}
	}
	if text := s.Curl.check(); text != "" {
		return Settings{}, &Error{path, lineOf(b, "curl.hosts"), text}
	}
	if key, text := s.Lock.check(runtime.GOOS); text != "" {
		return Settings{}, &Error{path, lineOf(b, key), text}
	}
	if text := s.Sinks.check(); text != "" {
		return Settings{}, &Error{path, lineOf(b, "sinks.dirs"), text}
	}
	if key, text := s.checkTools(); text != "" {
		return Settings{}, &Error{path, lineOf(b, key), text}
	}
	if key, text := s.checkWarnings(); text != "" {
		return Settings{}, &Error{path, lineOf(b, key), text}
	}
	return s, nil
}

// lineOf finds the line of a key, written with the tables around it, for values
// that decode and yet mean nothing; of its table, if it is written otherwise. Of
// tables in an array, a number tells which: sockets[0] is the first [[sockets]].
func lineOf(b []byte, key string) int {
	table, found := "", 0
	many := map[string]int{}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if at := strings.IndexByte(line, ']'); at > 0 {
				table = strings.Trim(line[:at], "[] ")
				if strings.HasPrefix(line, "[[") {
					many[table]++
					table += fmt.Sprintf("[%d]", many[table]-1)
				}
				table += "."
			}
			if found == 0 && (strings.HasPrefix(key+".", table) || strings.HasPrefix(table, key+".")) {
				found = i + 1
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if name = table + strings.Trim(strings.TrimSpace(name), `"'`); ok && name == key {
			return i + 1
		}
		if ok && found == 0 && strings.HasPrefix(key, name+"[") {
			found = i + 1 // an array in one line, or more
		}
	}
	return found
}

func (s Settings) level() (slog.Level, error) {
	var l slog.Level
	if s.LogLevel == "" {
		return slog.LevelInfo, nil
	}
	err := l.UnmarshalText([]byte(s.LogLevel))
	return l, err
}

// Level is the least level that is logged.
func (s Settings) Level() slog.Level {
	l, _ := s.level()
	return l
}

// CA is the PEM of the CAs to trust besides the system's own; nil if none.
func (s Settings) CA() []byte { return s.ca }

// Proxy returns the proxy for a request, by the settings and, where they name
// none, by the environment.
func (s Settings) Proxy() func(*http.Request) (*url.URL, error) {
	c := httpproxy.FromEnvironment()
	if s.HTTPSProxy != "" {
		c.HTTPSProxy, c.HTTPProxy = s.HTTPSProxy, s.HTTPSProxy
	}
	if s.NoProxy != "" {
		c.NoProxy = s.NoProxy
	}
	f := c.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return f(r.URL) }
}
