package notify

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// script shows a toast with the texts of its environment: no text is ever part
// of a script. The program that it is shown for is PowerShell, since only
// installed ones have a name there.
const script = `$ErrorActionPreference = 'Stop'
[Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime] | Out-Null
$toast = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$texts = $toast.GetElementsByTagName('text')
$texts.Item(0).AppendChild($toast.CreateTextNode($env:CSP_AGENT_SUMMARY)) | Out-Null
$texts.Item(1).AppendChild($toast.CreateTextNode($env:CSP_AGENT_BODY)) | Out-Null
$app = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe'
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier($app).Show([Windows.UI.Notifications.ToastNotification]::new($toast))`

func show(ctx context.Context, n note) *exec.Cmd {
	shell := "powershell.exe"
	if system, err := windows.GetSystemDirectory(); err == nil {
		shell = filepath.Join(system, "WindowsPowerShell", "v1.0", "powershell.exe")
	}
	cmd := exec.CommandContext(ctx, shell, "-NoProfile", "-NonInteractive", "-Command", script)
	cmd.Env = append(os.Environ(), "CSP_AGENT_SUMMARY="+n.summary, "CSP_AGENT_BODY="+n.body)
	cmd.SysProcAttr = &windows.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	return cmd
}
