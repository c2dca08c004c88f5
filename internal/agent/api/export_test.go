package api

// These are tried directly.
var (
	Observed     = observed
	GrantedError = grantedError
)

// Join has a user's reader take a place, as a connection with that role does.
func (e *Events) Join(role Role, uid uint32) bool { return e.join(&reader{role: role, uid: uid}) }
