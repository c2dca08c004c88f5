package sim

import (
	"encoding/json"
	"time"
)

// Fault spoils answers. Several may be active: their fields are laid over one
// another, the later fault's first.
type Fault struct {
	Endpoint string `json:"endpoint,omitempty"` // Authorize, Details, ...; empty: all
	Token    string `json:"token,omitempty"`    // account; empty: all
	Times    int    `json:"times,omitempty"`    // how many requests; 0: until cleared

	// Before the answer.
	Delay Duration `json:"delay,omitempty"`
	Hang  bool     `json:"hang,omitempty"` // until Release, or until the client goes
	Drop  bool     `json:"drop,omitempty"` // close the connection
	// After: all of these, and what stands in place of the answer, come when the
	// server has done its work. The answer is lost on its way, as it were.
	After bool `json:"after,omitempty"`

	// In place of the answer.
	Status      int    `json:"status,omitempty"`       // with a CspErrorResponse
	Message     string `json:"message,omitempty"`      // of that
	HTML        bool   `json:"html,omitempty"`         // a web page; with Status or 200
	Empty       bool   `json:"empty,omitempty"`        // no body; with Status or 401
	WrongJSON   bool   `json:"wrong_json,omitempty"`   // JSON of another kind; with Status or 200
	Redirect    string `json:"redirect,omitempty"`     // 307 (or Status) to this URL
	Body        string `json:"body,omitempty"`         // this; with Status or 200
	ContentType string `json:"content_type,omitempty"` // of Body

	// On the answer, whatever it is.
	RetryAfter string   `json:"retry_after,omitempty"` // header
	Skew       Duration `json:"skew,omitempty"`        // of the server's clock: Date, iat, exp, the end of API tokens
	Gzip       bool     `json:"gzip,omitempty"`
	Truncate   bool     `json:"truncate,omitempty"` // the connection ends in the middle of the body
	Pad        int      `json:"pad,omitempty"`      // bytes of blanks after the body

	// In refusals.
	GrantStatus      int    `json:"grant_status,omitempty"`       // of invalid_grant; default 400, CSP also answers 404
	ModuleCodeString bool   `json:"module_code_string,omitempty"` // moduleCode as text
	Echo             string `json:"echo,omitempty"`               // of the refused token: tail (default, as CSP does), full, none

	// In access tokens.
	SameToken   bool            `json:"same_token,omitempty"`   // the one given before
	TokenSize   int             `json:"token_size,omitempty"`   // at least this many bytes
	AccessToken string          `json:"access_token,omitempty"` // verbatim
	ExpiresIn   json.RawMessage `json:"expires_in,omitempty"`   // verbatim JSON, like "\"1799\"" or -1; "missing" leaves it out

	// In errors of Cloud Director.
	XML        bool `json:"xml,omitempty"`         // as the older API has them
	StackTrace int  `json:"stack_trace,omitempty"` // bytes

	// In details.
	Milliseconds bool `json:"milliseconds,omitempty"`
}

type activeFault struct {
	Fault
	left int // requests; -1: no end
}

// AddFault switches a fault on.
func (s *Server) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := -1
	if f.Times > 0 {
		left = f.Times
	}
	s.faults = append(s.faults, &activeFault{f, left})
}

// ClearFaults switches all faults off. Requests that hang go on hanging.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults returns the active faults, Times being what is left of each.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Fault{}
	for _, a := range s.faults {
		f := a.Fault
		f.Times = max(a.left, 0)
		list = append(list, f)
	}
	return list
}

// Release lets the requests go on that hang now.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.released)
	s.released = make(chan struct{})
}

// pickFault uses up one request of each fault that fits. The caller holds s.mu.
func (s *Server) pickFault(endpoint, who string) Fault {
	var sum Fault
	var stay []*activeFault
	for _, a := range s.faults {
		if a.Endpoint != "" && a.Endpoint != endpoint || a.Token != "" && a.Token != who {
			stay = append(stay, a)
			continue
		}
		// Only fields that are set are in the JSON form.
		if b, err := json.Marshal(a.Fault); err == nil {
			_ = json.Unmarshal(b, &sum)
		}
		if a.left > 0 {
			a.left--
		}
		if a.left != 0 {
			stay = append(stay, a)
		}
	}
	s.faults = stay
	return sum
}

// stall delays the request as the fault says; false: drop the connection.
func stall(r *request) bool {
	f := r.fault
	if f.Delay > 0 {
		t := time.NewTimer(time.Duration(f.Delay))
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
		}
	}
	if f.Hang {
		select {
		case <-r.released:
		case <-r.Context().Done():
		}
	}
	return !f.Drop && r.Context().Err() == nil
}
