package harden

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// process keeps a crash from opening a dialog or writing an error report with
// the process's memory. Reading the memory of one's own processes cannot be
// closed off by the process itself on Windows.
func process() error {
	windows.SetErrorMode(windows.SEM_FAILCRITICALERRORS | windows.SEM_NOGPFAULTERRORBOX | windows.SEM_NOOPENFILEERRORBOX)
	if err := windows.SetDllDirectory(""); err != nil {
		return fmt.Errorf("SetDllDirectory: %w", err)
	}
	return nil
}
