package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/windows"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Desktop is an expiry.Channel that shows one toast for each profile. A program
// without a shortcut in the Start menu can't be clicked on.
type Desktop struct{ log *slog.Logger }

// NewDesktop returns the desktop of the user.
func NewDesktop(o Options) *Desktop {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Desktop{o.Log}
}

// Close is there for symmetry: nothing is kept open.
func (d *Desktop) Close() {}

// The scripts take their texts from the environment: they are never part of
// their source. Toasts need the identity of an installed program, and
// PowerShell's is on every Windows
// (https://learn.microsoft.com/windows/apps/develop/notifications/app-notifications/).
const (
	begin = `$ErrorActionPreference = 'Stop'
$app = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe'
$manager = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
`
	show = begin + `$xml = $manager::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$text = $xml.GetElementsByTagName('text')
[void]$text.Item(0).AppendChild($xml.CreateTextNode($env:CSPCTL_SUMMARY))
[void]$text.Item(1).AppendChild($xml.CreateTextNode($env:CSPCTL_BODY))
$toast = New-Object Windows.UI.Notifications.ToastNotification $xml
$toast.Group = 'cspctl'
$toast.Tag = $env:CSPCTL_TAG
$manager::CreateToastNotifier($app).Show($toast)
`
	remove = begin + `$manager::History.Remove($env:CSPCTL_TAG, 'cspctl', $app)
`
)

// Announce implements expiry.Channel.
func (d *Desktop) Announce(ctx context.Context, w ipc.Event, _ string) (string, error) {
	m := compose(w, time.Now())
	// A tag has 16 characters at most on older systems; a toast of the same
	// tag is replaced.
	sum := sha256.Sum256([]byte(w.Profile))
	tag := hex.EncodeToString(sum[:8])
	if err := powershell(ctx, show, "CSPCTL_SUMMARY="+m.summary, "CSPCTL_BODY="+m.body, "CSPCTL_TAG="+tag); err != nil {
		return "", err
	}
	return tag, nil
}

// Withdraw implements expiry.Channel.
func (d *Desktop) Withdraw(ctx context.Context, ref string) {
	if ref == "" {
		return
	}
	if err := powershell(ctx, remove, "CSPCTL_TAG="+ref); err != nil {
		d.log.Debug("a toast could not be removed", "err", err)
	}
}

// powershell runs a script in Windows PowerShell 5, the last that knows WinRT.
func powershell(ctx context.Context, script string, env ...string) error {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "WindowsPowerShell", "v1.0", "powershell.exe")
	return run(ctx, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, env...)
		cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	}, program, "-NoProfile", "-NonInteractive", "-Command", script)
}
