package ipc

import "testing"

// MoveSystemDir lets the test play the system service in a folder of its own.
func MoveSystemDir(t *testing.T, dir string) {
	systemDir = dir
	t.Cleanup(func() { systemDir = SystemDir })
}

// KeptEnv is tried directly.
var KeptEnv = keptEnv
