package ipc

// The reasons for which the agent turns a connection or a request away,
// whatever it asks. They are a label of its metrics.
const (
	RefusedPeer    = "peer"    // the socket does not serve that user
	RefusedBusy    = "busy"    // too many connections, or requests of a kind, at once
	RefusedUnknown = "unknown" // the kernel would not say who it is
	RefusedRole    = "role"    // the socket's role does not allow it
	RefusedProfile = "profile" // the profile does not list that user
	RefusedHost    = "host"    // the Host header is not the agent's: a browser, perhaps
)
