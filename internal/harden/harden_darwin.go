package harden

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

func process() error {
	umask = unix.Umask(0o077)
	var errs []error
	const ptDenyAttach = 31                                                                     // PT_DENY_ATTACH in <sys/ptrace.h>
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, ptDenyAttach, 0, 0, 0, 0, 0); errno != 0 { //nolint:staticcheck // x/sys wraps no ptrace of libSystem's for this request
		errs = append(errs, fmt.Errorf("ptrace PT_DENY_ATTACH: %w", errno))
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		errs = append(errs, fmt.Errorf("setrlimit RLIMIT_CORE: %w", err))
	}
	return errors.Join(errs...)
}
