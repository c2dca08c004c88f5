package ipc

import (
	"time"

	"github.com/cspctl/cspctl/internal/secret"
)

// RunRequest is the body of POST /v1/runs. It makes a stand-in for the API token
// of a profile and a local endpoint that exchanges it, for as long as the
// connection on which it was asked for stays open.
type RunRequest struct {
	Profile string `json:"profile,omitempty"` // empty: the default one
	TLS     bool   `json:"tls,omitempty"`     // https, with a CA made for the run
	// Lifetime is a duration, also with d for days, after which the run ends in
	// any case. Empty: DefaultRunLifetime.
	Lifetime string `json:"lifetime,omitempty"`
	// Again is Run.Again of a run whose agent has ended: it goes on with the same
	// stand-in, port and certificate.
	Again secret.Wire `json:"again,omitzero"`
}

// The lifetime of a run, if nothing else is asked for, and at most.
const (
	DefaultRunLifetime = 24 * time.Hour
	MaxRunLifetime     = 30 * 24 * time.Hour
)

// Run is the first line of the answer to a RunRequest, application/x-ndjson. An
// empty line every 30 seconds follows, and a RunEnd where the run ends before
// its connection does.
type Run struct {
	ID       string      `json:"id"` // as the audit log names it; no secret
	Profile  string      `json:"profile"`
	Provider string      `json:"provider"`
	StandIn  secret.Wire `json:"stand_in"`     // worth nothing but at URL, to processes of the same user
	URL      string      `json:"url"`          // http://127.0.0.1:PORT or https://127.0.0.1:PORT
	HostPort string      `json:"host_port"`    // 127.0.0.1:PORT
	CA       string      `json:"ca,omitempty"` // PEM of the CA of the run, with TLS
	EndsAt   time.Time   `json:"ends_at"`
	Again    secret.Wire `json:"again"` // see RunRequest
}

// RunEnd is the last line of the answer to a RunRequest, where the agent ended
// the run. An agent that ends by itself says nothing: the run can be asked for
// again.
type RunEnd struct {
	Ended   string `json:"ended"`   // RunEnded...
	Message string `json:"message"` // one line for a person
}

// Why a run ended.
const (
	RunEndedTime   = "lifetime"
	RunEndedLogout = "logout" // or the profile was removed, or its secret replaced by another org's
	RunEndedLock   = "lock"
	RunEndedGrant  = "not_allowed" // the profile is not for that user any more
)

// Tool is how a program gets what it needs from a run. It is an element of
// GET /v1/tools.
type Tool struct {
	Name   string    `json:"name"`             // for cspctl exec --for
	Title  string    `json:"title"`            // what people call it
	Env    []ToolVar `json:"env"`              // what is set, in this order
	TLS    bool      `json:"tls"`              // it insists on https
	Renews string    `json:"renews"`           // when the program asks again by itself, in a few words
	Note   string    `json:"note,omitempty"`   // what is left for the user to do, one line
	Reason string    `json:"reason,omitempty"` // why it can't be served; empty if it can
}

// ToolVar is a variable of the environment. In its value, {access}, {standin},
// {url}, {hostport} and {ca-file} stand for what cspctl exec --env calls so.
type ToolVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Tools answers GET /v1/tools: those that the agent knows and those of its
// settings, by name.
type Tools struct {
	Tools []Tool `json:"tools"`
}
