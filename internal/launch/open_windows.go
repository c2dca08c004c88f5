package launch

import (
	"context"
	"fmt"

	"golang.org/x/sys/windows"
)

// open leaves it to the shell (ShellExecuteW), which finds the browser.
func (l *Launcher) open(_ context.Context, page string) error {
	verb, err := windows.UTF16PtrFromString("open")
	if err != nil {
		return err
	}
	file, err := windows.UTF16PtrFromString(page)
	if err != nil {
		return err
	}
	if err := windows.ShellExecute(0, verb, file, nil, nil, windows.SW_SHOWNORMAL); err != nil {
		return fmt.Errorf("ShellExecute: %w", err)
	}
	return nil
}
