//go:build unix

package e2e_test

import (
	"os"
	"os/exec"
	"testing"
)

// The exec plugin code of client-go takes our credential, renews it and recovers
// from a 401. Its tests are a module of their own, and wait for a minute.
func TestClientGo(t *testing.T) {
	t.Parallel()
	c := exec.Command("go", "test", "-count=1", "./...")
	c.Dir = "clientgo"
	c.Env = append(os.Environ(), "CSPCTL_BIN="+bin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
