package api

import (
	"context"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Sinks are the files that are kept filled with tokens.
type Sinks interface {
	Own() []ipc.Sink
	List() ([]ipc.Sink, error) // and those that other agents have left
	Add(context.Context, ipc.SinkRequest) (ipc.Sink, error)
	Remove(ctx context.Context, profile, file string) ([]ipc.Sink, error)
	// Removed and Renamed hear of what was done to a profile.
	Removed(profile string)
	Renamed(from, to string)
	// Settle waits a moment for files to be gone whose tokens must not be read
	// any more.
	Settle(context.Context)
}

var errNoSinks = &ipc.Error{Code: ipc.CodeNotFound, Message: "this agent has no sinks"}

func (s *Server) settle(c *call) {
	if s.Sinks != nil {
		s.Sinks.Settle(c.Context())
	}
}

func sinks(s *Server, _ *call) (any, error) {
	if s.Sinks == nil {
		return nil, errNoSinks
	}
	list, err := s.Sinks.List()
	return ipc.Sinks{Sinks: list}, err
}

func addSink(s *Server, c *call) (any, error) {
	if s.Sinks == nil {
		return nil, errNoSinks
	}
	var req ipc.SinkRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	c.about.profile = req.Profile
	return s.Sinks.Add(c.Context(), req)
}

func removeSink(s *Server, c *call) (any, error) {
	if s.Sinks == nil {
		return nil, errNoSinks
	}
	q := c.URL.Query()
	c.about.profile = q.Get("profile")
	gone, err := s.Sinks.Remove(c.Context(), q.Get("profile"), q.Get("file"))
	return ipc.Sinks{Sinks: gone}, err
}
