package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// serviceTime bounds what a service manager is asked.
const serviceTime = 5 * time.Second

// maxOutput bounds what a program may say, in bytes.
const maxOutput = 64 << 10

// output runs a program of the system without input, with env besides the
// environment, and returns what it says: in English, and not paged.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Env = append(cmd.Env, "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", "SYSTEMD_ASK_PASSWORD=0")
	cmd.WaitDelay = 100 * time.Millisecond
	var out, errs bounded
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s did not answer in time", filepath.Base(name))
	}
	if err != nil {
		if said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n"); said != "" {
			return out.String(), errors.New(said)
		}
		return out.String(), fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return out.String(), nil
}

// bounded keeps the first maxOutput bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, maxOutput-b.Len()))])
	return len(p), nil
}

// lastLines returns the last n lines of a text that are not empty.
func lastLines(text string, n int) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
