package notify

import (
	"context"
	"os/exec"
)

// script shows its arguments: no text is ever part of a script.
const script = `on run texts
	display notification (item 2 of texts) with title "cspctl" subtitle (item 1 of texts)
end run`

func show(ctx context.Context, n note) *exec.Cmd {
	return exec.CommandContext(ctx, "/usr/bin/osascript", "-e", script, n.summary, n.body)
}
