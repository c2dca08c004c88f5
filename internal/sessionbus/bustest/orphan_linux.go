package bustest

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets no daemon outlive a test that crashed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
