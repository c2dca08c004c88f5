package config

import (
	"fmt"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Curl says where cspctl curl may take a token, besides where it may anyway.
type Curl struct {
	// Hosts are names in lower case, as they are or with a port ("nsx.example:8443"),
	// or all below a domain ("*.corp.example").
	Hosts []string `toml:"hosts"`
}

func (c Curl) check() (text string) {
	for _, h := range c.Hosts {
		if !ipc.CheckHostPattern(h) {
			return fmt.Sprintf("curl.hosts: %q is none of: api.example.com, api.example.com:8443, *.corp.example (in lower case, no scheme, no path)", h)
		}
	}
	return ""
}
