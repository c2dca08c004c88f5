package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// files looks at the owner and mode of what the agent keeps, and whether the
// state can be read (T33).
func files(_ context.Context, e *exam) []Finding {
	if e.System {
		return nil
	}
	if e.Files.State == "" {
		return []Finding{info("where they would be is not known without a home")}
	}
	var found []Finding
	seen := map[string]bool{}
	for _, f := range []struct {
		path   string
		secret bool // nobody else may read it
	}{{e.Files.State, true}, {e.Files.Audit, true}, {e.Files.Store, true}, {keyOf(e.Files.Store), true}, {e.Files.Config, false}} {
		if dir := filepath.Dir(f.path); !seen[dir] {
			seen[dir] = true
			found = append(found, checkPath(dir, false)...)
		}
		found = append(found, checkPath(f.path, f.secret)...)
	}
	if _, err := readState(e.Files.State); err != nil && !errors.Is(err, fs.ErrPermission) {
		found = append(found, fail("the state "+e.Files.State+" can't be used: "+because(err),
			"restore it from a backup, or: mv "+quote(e.Files.State)+" "+quote(e.Files.State+".bad")+", and log in again"))
	}
	return orFine(found, ok(filesFine))
}

// keyOf is the key beside a file store: store-key.age.
func keyOf(store string) string { return strings.TrimSuffix(store, filepath.Ext(store)) + "-key.age" }

func checkPath(path string, secret bool) []Finding {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && st.Mode().Type() == fs.ModeSymlink { // as people keep settings elsewhere
		st, err = os.Stat(path)
	}
	if err != nil {
		return []Finding{fail(path+" can't be looked at: "+because(err), "see that its folders are yours, and open to you")}
	}
	return access(path, st, secret)
}

// least is the free space below which writes are about to fail, in bytes.
const least = 1 << 20

// disk looks whether the state can be written: a token is not lost if it
// can't, but logins are, and what was warned of.
func disk(_ context.Context, e *exam) []Finding {
	if e.Files.State == "" {
		return nil
	}
	dir := filepath.Dir(e.Files.State)
	for { // the nearest folder that is there
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, readOnly, err := space(dir)
	switch {
	case err != nil:
		return []Finding{info("the free space in " + dir + " is not known: " + because(err))}
	case readOnly:
		return []Finding{fail("the disk of "+dir+" is read-only: no login can be kept", "mount it for writing, or set XDG_STATE_HOME and XDG_DATA_HOME to another disk")}
	case free < least:
		return []Finding{fail(fmt.Sprintf("the disk of %s is full (%d KiB left): no login can be kept", dir, free>>10), "make room on it")}
	case !writable(dir):
		return []Finding{fail("this user can't write to "+dir, "chown it to yourself, and: chmod 700 "+quote(dir))}
	}
	return []Finding{ok(fmt.Sprintf("%d MiB left in %s", free>>20, dir))}
}
