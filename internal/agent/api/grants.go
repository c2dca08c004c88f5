package api

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// Grant is for whom the settings list a profile on the sockets with the role
// Token.
type Grant struct{ UIDs, GIDs []uint32 }

// The errors of sockets with the role Token tell their users to ask whoever
// can do something about it: a login of their own would not help.
const askAdmin = "ask the administrator of this agent"

// listed reports whether the caller may have tokens of a profile.
func (s *Server) listed(ctx context.Context, profile string) bool {
	if s.Grants == nil {
		return false
	}
	g := s.Grants(profile)
	is := s.Listed
	if is == nil {
		is = listen.Listed
	}
	return is(ctx, g.UIDs, g.GIDs)
}

// granted are the profiles that the caller may have tokens of, sorted by name;
// of each, what is needed to ask for it.
func (s *Server) granted(c *call) (ipc.Profiles, error) {
	all, err := s.Agent.Profiles()
	if err != nil {
		return ipc.Profiles{}, err
	}
	list := ipc.Profiles{Profiles: []ipc.Profile{}}
	for _, p := range all.Profiles {
		if s.listed(c.Context(), p.Name) {
			list.Profiles = append(list.Profiles, ipc.Profile{Name: p.Name, Default: p.Default})
		}
	}
	return list, nil
}

// grant returns the request that a user of a socket with the role Token may
// make instead of req: of a profile that lists them, whose name it holds, with
// nobody to answer a dialog, and sparing the account. It is the one place where
// that is decided.
//
// Who is not listed is told the same as of a profile that is not there.
func (s *Server) grant(c *call, req ipc.TokenRequest) (ipc.TokenRequest, error) {
	switch {
	case !req.Passcode.IsZero():
		return req, &ipc.Error{Code: ipc.CodeNotAllowed, Message: "a passcode is not taken on this socket", Hint: "leave it out, or " + askAdmin}
	case req.Kind == ipc.KindProxy:
		return req, &ipc.Error{Code: ipc.CodeNotAllowed, Message: "proxy tokens are not given on this socket", Hint: askAdmin}
	case len(req.Scope) > 0 || req.ResourceScope != "":
		return req, &ipc.Error{Code: ipc.CodeNotAllowed, Message: "a scope is not taken on this socket: the profile has one", Hint: "leave it out, or " + askAdmin}
	}
	if req.Profile == "" {
		name, err := s.grantedDefault(c)
		if err != nil {
			return req, err
		}
		req.Profile = name
	}
	if bad := ipc.CheckName(req.Profile); bad != nil {
		return req, bad
	}
	c.about.profile = req.Profile
	if !s.listed(c.Context(), req.Profile) {
		if _, err := s.Agent.Profile(req.Profile); err == nil {
			s.unlisted(c, req.Profile)
		}
		return req, s.noGrant(c, req.Profile)
	}
	req.Interactive, req.Spare = false, true
	if req.Warnings != ipc.WarningsAlways {
		req.Warnings = ipc.WarningsOff // once a day is for the owner to be told
	}
	return req, nil
}

// profileFor returns a profile that the caller may have tokens of; an empty name
// means the default one.
func (s *Server) profileFor(c *call, name string) (ipc.Profile, error) {
	c.about.profile = name
	if s.Role != Owner {
		req, err := s.grant(c, ipc.TokenRequest{Profile: name})
		if err != nil {
			return ipc.Profile{}, err
		}
		name = req.Profile
	}
	p, err := s.Agent.Profile(name)
	switch {
	case err != nil && s.Role != Owner && codeOf(err) == ipc.CodeNoSuchProfile:
		return p, s.noGrant(c, name)
	case err != nil:
		return p, s.forRole(err, name)
	}
	c.about.profile = p.Name
	return p, nil
}

func (s *Server) noGrant(c *call, profile string) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "profile " + profile + " does not exist or is not for this user", Hint: s.whoLists(c)}
}

// whoLists is the hint for a user whom no list has.
func (s *Server) whoLists(c *call) string {
	if c.peer.UID == 0 {
		return "root asks on the owner's socket (" + s.ownersSocket() + "), or is listed like others"
	}
	return askAdmin + ", who lists uid " + number(c.peer.UID) + " or a group of yours for it"
}

// grantedDefault is the profile of a request that names none: the default one if
// it is for the caller, or else the only one that is.
func (s *Server) grantedDefault(c *call) (string, error) {
	list, err := s.granted(c)
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range list.Profiles {
		if p.Default {
			return p.Name, nil
		}
		names = append(names, p.Name)
	}
	switch len(names) {
	case 0:
		s.unlisted(c, "NAME")
		return "", &ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "no profile is for this user", Hint: s.whoLists(c)}
	case 1:
		return names[0], nil
	}
	const most = 10
	text := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		text += ", ..."
	}
	return "", &ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "several profiles are for this user, and none of them is the default one: " + text, Hint: "name one of them"}
}

// unlisted counts the refusal, and tells the administrator how to list a user who asked, as often as
// refusals are put on record.
func (s *Server) unlisted(c *call, profile string) {
	s.refused(c.Request, ipc.RefusedProfile)
	c.about.reason = reasonNotListed
	c.about.fix = "uids = [" + number(c.peer.UID) + "] or gids = [" + number(c.peer.GID) + "] below [profiles." + profile + "] in the settings, then SIGHUP"
}

func number(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// grantedError is an error of the agent's as users of a socket with the role
// Token are told it: what is the matter, and none of a server's or a system's
// own words, nor what the owner would do about it.
func grantedError(err error, profile string) error {
	e := ipc.Error{Code: codeOf(err), Hint: askAdmin}
	if full, ok := errors.AsType[*ipc.Error](err); ok {
		e.Retry = full.Retry
		switch full.Code {
		case ipc.CodeBadRequest, ipc.CodeBadProfileName, ipc.CodeMinTTL, ipc.CodeBusy, ipc.CodeNotAllowed:
			return full
		}
	}
	of := " of profile " + profile
	switch e.Code {
	case ipc.CodeNotLoggedIn:
		e.Message = "the agent has no secret" + of
	case ipc.CodeRefused:
		e.Message = "the server refuses the credential" + of
	case ipc.CodePasscodeNeeded:
		e.Code, e.Message = ipc.CodeRefusedForNow, "the credential"+of+" needs a one-time passcode, which is the owner's to give"
	case ipc.CodeRefusedForNow:
		e.Message = "the server gives no token" + of + " for now"
	case ipc.CodeUnreachable:
		e.Message, e.Hint = "the server"+of+" can't be reached, or is failing", "try again later, or "+askAdmin
	case ipc.CodeWrongServer:
		e.Message = "what answers instead of the server" + of + " is another"
	case ipc.CodeLocked:
		e.Message = "the agent is locked"
	case ipc.CodeStoreLocked, ipc.CodePassphraseNotSet:
		e.Message = "the store" + of + " is locked"
	case ipc.CodeStoreAbsent:
		e.Message = "the store" + of + " is unavailable"
	case ipc.CodeConfigInvalid:
		e.Message = "the agent's settings can't be used"
	default:
		e.Message = "the agent has met with an error, which its log tells"
	}
	return &e
}

// grantedToken is a token as users of a socket with the role Token get it: of
// the secret behind it, nothing but how urgent its end is.
func grantedToken(t ipc.Token) ipc.Token {
	if w := t.Warning; w != nil {
		end := "expires within " + w.Stage
		switch w.Stage {
		case ipc.StageExpired:
			end = "has expired"
		case ipc.StageDeactivated:
			end = "was deactivated"
		case ipc.StageRefused:
			end = "is refused by the server"
		}
		t.Warning = &ipc.Warning{Stage: w.Stage, Silent: w.Silent,
			Message: "the credential of profile " + t.Profile + " " + end + "; tell the administrator of this agent"}
	}
	return t
}
