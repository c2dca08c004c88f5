package api

import "github.com/cspctl/cspctl/internal/ipc"

// knownTools is the table for cspctl exec: no secret, and nothing about profiles.
func knownTools(s *Server, _ *call) (any, error) {
	list := ipc.Tools{Tools: []ipc.Tool{}}
	if s.Tools != nil {
		list.Tools = s.Tools()
	}
	return list, nil
}
