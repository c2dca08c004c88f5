//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestSIGTERMEndsItCleanly(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-print-token", "a")
	cmd.Env = append(os.Environ(), "CSP_SIM_AS_MAIN=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(stdout)
	if !in.Scan() || !strings.HasPrefix(in.Text(), "http://") || !in.Scan() || len(in.Text()) != 64 {
		t.Errorf("got %q", in.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
