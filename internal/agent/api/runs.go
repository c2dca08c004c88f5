package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/standin"
)

// actionRun is the action of those who ask for a stand-in.
const actionRun = "run"

// run makes a stand-in and the endpoint that takes it, for as long as the
// connection of the request stays open.
func run(s *Server, c *call) (any, error) {
	var req ipc.RunRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	c.about.profile = req.Profile
	if s.Runs == nil {
		return nil, &ipc.Error{Code: ipc.CodeNotFound, Message: "this agent makes no stand-ins"}
	}
	profile, err := s.runProfile(c, req.Profile)
	if err != nil {
		return nil, err
	}
	c.about.profile = profile.Name
	if _, locked := s.Agent.Locked(); locked {
		return nil, s.forRole(&ipc.Error{Code: ipc.CodeLocked, Message: "the agent is locked", Hint: "cspctl unlock"}, profile.Name)
	}
	r, err := s.Runs.Start(req, s.holder(c, profile))
	if err != nil {
		return nil, err
	}
	// What happened before the run could be found did not end it.
	if _, locked := s.Agent.Locked(); locked {
		r.Close()
		return nil, s.forRole(&ipc.Error{Code: ipc.CodeLocked, Message: "the agent is locked", Hint: "cspctl unlock"}, profile.Name)
	}
	if p, err := s.Agent.Profile(profile.Name); err != nil || p.LoggedOut || p.Provider != profile.Provider || p.Server != profile.Server || p.Org != profile.Org {
		r.Close()
		return nil, &ipc.Error{Code: ipc.CodeBusy, Message: "the profile is being changed", Hint: "try again", Retry: 1}
	}
	r.Provider = profile.Provider
	c.about.run = r.ID
	return stream(func(w http.ResponseWriter) { s.lease(c, w, r) }), nil
}

// runProfile is the profile that a run is for.
func (s *Server) runProfile(c *call, name string) (ipc.Profile, error) {
	p, err := s.profileFor(c, name)
	switch {
	case err != nil:
		return p, err
	case !ipc.IsCloudServices(p.Provider):
		return p, &ipc.Error{Code: ipc.CodeBadRequest, Message: "there are stand-ins for profiles of Cloud Services alone, and " + p.Name + " is of provider " + p.Provider,
			Hint: "give the program an access token: cspctl exec " + p.Name + " --env NAME=access -- ..."}
	case p.LoggedOut:
		return p, s.forRole(&ipc.Error{Code: ipc.CodeNotLoggedIn, Message: "profile " + p.Name + " has no secret stored", Hint: "cspctl login " + p.Name}, p.Name)
	}
	return p, nil
}

// forRole is an error as the users of the socket are told it.
func (s *Server) forRole(err error, profile string) error {
	if s.Role == Owner {
		return err
	}
	return grantedError(err, profile)
}

// holder is the peer of a call, whose connection is the run's lease. What it may
// have is decided at each exchange anew.
func (s *Server) holder(c *call, p ipc.Profile) standin.Holder {
	profile := p.Name
	return standin.Holder{
		UID: c.peer.UID, Profile: profile, Server: p.Server, Org: p.Org,
		Token: func(ctx context.Context, run, maxAge string) (ipc.Token, error) {
			via := &call{Request: c.WithContext(withPeerOf(ctx, c)), peer: c.peer}
			via.about.run = run
			req := ipc.TokenRequest{Profile: profile, HalfLife: true, MaxAge: maxAge, Warnings: ipc.WarningsOff}
			var t ipc.Token
			var err error = standin.ErrNotForUser
			if s.stillHolds(c, profile) {
				t, err = s.token(via, req)
			} else {
				via.about.profile, via.about.reason = profile, reasonNotListed
			}
			s.record(via, route{action: actionToken}, t, err)
			return t, err
		},
		Details: func(ctx context.Context, run string) (ipc.ProfileDetails, error) {
			if s.Role != Owner {
				return ipc.ProfileDetails{}, &ipc.Error{Code: ipc.CodeNotAllowed, Message: "what is known of the API token is its owner's to see"}
			}
			d, err := s.Agent.Details(ctx, profile, false)
			via := &call{Request: c.Request, peer: c.peer}
			via.about.run, via.about.profile = run, profile
			s.record(via, route{action: "details"}, nil, err)
			return d, err
		},
		PublicKeys: func(ctx context.Context) ([]byte, error) { return s.Agent.PublicKeys(ctx, profile) },
		Refused: func(run, reason string) {
			via := &call{Request: c.Request, peer: c.peer}
			via.about.run, via.about.profile, via.about.reason = run, profile, reason
			s.record(via, route{action: actionRun}, nil, &ipc.Error{Code: ipc.CodeNotAllowed})
		},
	}
}

// stillHolds reports whether the holder of a run may have tokens of its profile
// still, by the settings of this moment.
func (s *Server) stillHolds(c *call, profile string) bool {
	return listen.StillAdmitted(c.Context()) && (s.Role == Owner || s.listed(c.Context(), profile))
}

// peerContext is the values of one context, and the end of another.
type peerContext struct {
	context.Context
	values context.Context
}

func (p peerContext) Value(key any) any {
	if v := p.values.Value(key); v != nil {
		return v
	}
	return p.Context.Value(key)
}

// withPeerOf is ctx with the connection of a call, which is asked whose it is.
func withPeerOf(ctx context.Context, c *call) context.Context {
	return peerContext{Context: ctx, values: c.Context()}
}

// lease tells the holder what the run is, and lets it live until the holder is
// gone.
func (s *Server) lease(c *call, w http.ResponseWriter, r *standin.Run) {
	defer r.Close()
	line := lineWriter(w)
	first, err := json.Marshal(r.Run)
	if err != nil || !line(first) {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-c.Context().Done():
			return
		case <-r.Done():
			if end := r.End(); end != nil {
				b, _ := json.Marshal(end)
				line(b)
			}
			return
		case <-beat.C:
			if !s.stillHolds(c, r.Profile) {
				r.Withdraw()
				continue
			}
			if !line(nil) {
				return
			}
		}
	}
}
