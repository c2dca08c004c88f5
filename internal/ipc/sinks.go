package ipc

import "time"

// The forms of the file of a sink.
const (
	SinkRaw    = "raw"    // the token and a newline
	SinkJSON   = "json"   // the document of cspctl token -o json, without what is true for a moment alone
	SinkHeader = "header" // csp-auth-token: ..., for curl -H @FILE; csp providers only
	SinkBearer = "bearer" // Authorization: Bearer ...
)

// SinkRequest is the body of PUT /v1/sinks: a file that the agent keeps filled
// with a good access token.
type SinkRequest struct {
	Profile string `json:"profile"`
	Format  string `json:"format,omitempty"` // SinkRaw if empty
	// File is absolute: in the agent's own folder for tokens, or below one of
	// the folders that the settings list. Empty: a name made of the profile's,
	// in that own folder.
	File string `json:"file,omitempty"`
	Mode string `json:"mode,omitempty"` // octal: 0600 (if empty), 0400, 0640 or 0440
}

// Sink is a file with an access token, and how it is with it.
type Sink struct {
	Profile   string    `json:"profile"`
	Format    string    `json:"format"`
	File      string    `json:"file"`
	Mode      string    `json:"mode"`
	Fresh     bool      `json:"fresh"`               // the file is there and holds a good token
	ExpiresAt time.Time `json:"expires_at,omitzero"` // of the token in it
	Error     *Error    `json:"error,omitempty"`     // why it is not as it should be
}

// Sinks answers GET /v1/sinks, and DELETE /v1/sinks with those that are no more.
type Sinks struct {
	Sinks []Sink `json:"sinks"` // sorted by file
}
