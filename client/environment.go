package client

import (
	"cmp"
	"os"

	"github.com/cspctl/cspctl/internal/ipc"
)

// envProfile is the profile of those who name none, as cspctl has it.
const envProfile = "CSPCTL_PROFILE"

func (c *Client) profile() string { return cmp.Or(c.o.Profile, os.Getenv(envProfile)) }

// getenv is os.Getenv, but for what the Options say.
func (c *Client) getenv(name string) string {
	if name == ipc.EnvSocket && c.o.Socket != "" {
		return c.o.Socket
	}
	return os.Getenv(name)
}
