//go:build !linux

package api

// programOf names nothing: without /proc, a name would need a call that can
// be answered by another process by the time it is made.
func programOf(int) string { return "" }
