package launch

import (
	"context"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func (l *Launcher) open(ctx context.Context, page string) error {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	return l.openChild(ctx, filepath.Join(dir, "rundll32.exe"), "url.dll,FileProtocolHandler", page)
}
