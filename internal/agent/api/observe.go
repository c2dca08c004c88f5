package api

import (
	"net/http"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

func (s *Server) refused(r *http.Request, reason string) {
	if s.Refused != nil {
		peer, _ := listen.PeerFrom(r.Context())
		s.Refused(peer, reason)
	}
}

// The bounds of the metrics. Scrapers take more than cspctl does: a page has
// about 4 KiB for each profile.
const (
	maxMetrics  = 4 << 20          // of a page, in bytes
	maxPages    = 4                // under way at once, on one socket
	metricsTime = 10 * time.Second // for a scraper to take one
)

// metrics is written here, and not by its caller: as long as a scraper takes
// its page, that page counts as under way.
func metrics(s *Server, c *call) (any, error) {
	if s.Metrics == nil {
		return nil, &ipc.Error{Code: ipc.CodeNotFound, Message: "this agent has no metrics"}
	}
	select {
	case s.pages <- struct{}{}:
	default:
		s.refused(c.Request, ipc.RefusedBusy)
		return nil, &ipc.Error{Code: ipc.CodeBusy, Message: "the metrics are being read by others", Hint: "try again in a moment", Retry: 1}
	}
	contentType, page, err := s.Metrics(c.Header.Get("Accept"))
	if err != nil {
		<-s.pages
		s.Log.Error("the metrics could not be gathered", "err", err)
		return nil, &ipc.Error{Code: ipc.CodeInternal, Message: "the metrics could not be gathered", Hint: "the agent's log says why"}
	}
	return stream(func(w http.ResponseWriter) {
		defer func() { <-s.pages }()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(metricsTime))
		s.writeUpTo(maxMetrics, w, http.StatusOK, contentType, page)
	}), nil
}

// observed is what an observer sees of the status: what is named here, and
// nothing that is added to it later. How it is with the agent, its stores and
// profiles, but no path besides that of the observer's own socket, no user and
// client, no scope; and of errors the code and never the text, which is a
// server's or a system's own words.
func observed(st ipc.Status) ipc.Status {
	o := ipc.Status{Version: st.Version, PID: st.PID, StartedAt: st.StartedAt, Socket: st.Socket, Locked: st.Locked, LockedSince: st.LockedSince, Stores: []ipc.StoreStatus{}, Profiles: []ipc.ProfileStatus{}}
	if st.Config.Error != "" {
		o.Config = ipc.ConfigStatus{Error: "the settings can't be used", Kept: st.Config.Kept}
	}
	for _, s := range st.Stores {
		o.Stores = append(o.Stores, ipc.StoreStatus{Kind: s.Kind, Status: s.Status})
	}
	for _, p := range st.Profiles {
		o.Profiles = append(o.Profiles, ipc.ProfileStatus{
			Profile: ipc.Profile{
				Name: p.Name, Default: p.Default, Provider: p.Provider, Server: p.Server, Org: p.Org, Store: p.Store,
				LoggedIn: p.LoggedIn, LoggedOut: p.LoggedOut, TokenName: p.TokenName, APIToken: p.APIToken, RenewURL: p.RenewURL,
			},
			State: p.State, Deactivated: p.Deactivated, AccessToken: p.AccessToken, LastExchange: p.LastExchange, LastError: observedError(p.LastError),
			RetryAt: p.RetryAt, Exchanges: p.Exchanges, Hits: p.Hits, Misses: p.Misses,
		})
	}
	return o
}

func observedError(e *ipc.Error) *ipc.Error {
	if e == nil {
		return nil
	}
	return &ipc.Error{Code: e.Code, Message: string(e.Code), Hint: "the owner sees more: cspctl status", Retry: e.Retry}
}
