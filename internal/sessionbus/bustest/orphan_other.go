//go:build !linux

package bustest

import "os/exec"

// DieWithParent lets no daemon outlive a test that crashed, on Linux.
func DieWithParent(*exec.Cmd) {}
