package atomicfile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/cspctl/cspctl/internal/atomicfile"
)

// Whatever a folder passes on to its files, other users of the machine are not
// let in.
func TestFileHasAnAccessListOfItsOwn(t *testing.T) {
	const info = windows.DACL_SECURITY_INFORMATION
	dir := t.TempDir()
	open, err := windows.SecurityDescriptorFromString("D:(A;OICI;FA;;;WD)") // Everyone
	if err != nil {
		t.Fatal(err)
	}
	dacl, _, err := open.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, info, nil, nil, dacl, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	list := func(path string) string {
		t.Helper()
		sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, info)
		if err != nil {
			t.Fatal(err)
		}
		return sd.String()
	}
	others := filepath.Join(dir, "others")
	if err := atomicfile.WriteMode(others, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if l := list(others); !strings.Contains(l, ";;;WD)") {
		t.Fatalf("a file that is not private has %s", l)
	}
	for _, name := range []string{"new", "new", "others"} {
		path := filepath.Join(dir, name)
		write(t, path, "one")
		if l := list(path); strings.Contains(l, ";;;WD)") || strings.Contains(l, ";;;BU)") || !strings.Contains(l, "(A;") {
			t.Errorf("%s has %s", name, l)
		}
		expect(t, path, "one")
	}
}
