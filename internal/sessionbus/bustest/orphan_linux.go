package bustest

import (
	"os/exec"
	"syscall"
)

// DieWithParent lets no daemon outlive a test that crashed.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
