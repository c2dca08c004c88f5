package atomicfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/atomicfile"
)

func TestReadIsForRegularFilesWithinBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 1024)), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := atomicfile.Read(path, 1024); err != nil || len(b) != 1024 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := atomicfile.Read(path, 1023); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := atomicfile.Read(t.TempDir(), 1024); err == nil {
		t.Error("a folder was read")
	}
	if _, err := atomicfile.Read(os.DevNull, 1024); err == nil {
		t.Error("a device was read")
	}
	if _, err := atomicfile.Read(path+"x", 1024); !os.IsNotExist(err) {
		t.Errorf("missing: %v", err)
	}
}
