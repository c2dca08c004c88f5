package harden

// limits: a job may limit a process here, and says so itself.
func limits() error { return nil }
