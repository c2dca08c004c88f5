package atomicfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cspctl/cspctl/internal/atomicfile"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := atomicfile.Write(path, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func expectAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// T33: cache files of 0666, and writes that are not atomic.
func TestT33FileAndNewFoldersAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a unix: Windows has no file modes")
	}
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "file")
	write(t, path, "one")
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Join(root, "a"): 0o700} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", p, info.Mode().Perm(), err, want)
		}
	}
	// A file that was laid open is closed by the next write.
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, path, "two")
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v after a rewrite", info.Mode().Perm())
	}
	expectAlone(t, path)
}

func TestFileForOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := atomicfile.WriteMode(path, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, path, "one")
	expectAlone(t, path)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode().Perm(), err)
	}
	if err := atomicfile.WriteMode(filepath.Join(dir, "missing", "file"), nil, 0o644); err == nil {
		t.Error("a folder was made that others can't enter")
	}
}

func TestSweepRemovesWhatAKilledWriterLeftOfThisFileAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a]")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stay := []string{".prod.header.12.tmp", ".prod..tmp", ".prod.12.tmp.kept", ".prod-2.12.tmp", "prod.12.tmp", ".[pP]rod.12.tmp"}
	for _, name := range append(stay, ".prod.12.tmp", ".prod.3987654321.tmp") {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	atomicfile.Sweep(filepath.Join(dir, "prod"))
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	slices.Sort(stay)
	if slices.Sort(left); !slices.Equal(left, stay) {
		t.Errorf("%q is left, not %q", left, stay)
	}
	atomicfile.Sweep(filepath.Join(dir, "[pP]rod"))
	if _, err := os.Lstat(filepath.Join(dir, ".[pP]rod.12.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its name was taken for a pattern: %v", err)
	}
}

// A file that people keep: its mode stays, and a link to it is one afterwards.
func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.Rewrite(path, []byte("new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there was none: %v", err)
	}
	expectRewritten(t, path, path)
}

// expectRewritten checks what Rewrite does with the file at path by that name.
func expectRewritten(t *testing.T, name, path string) {
	t.Helper()
	write(t, path, "one")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Rewrite(name, []byte("two")); err != nil {
		t.Fatal(err)
	}
	expect(t, path, "two")
	expectAlone(t, path)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestSymbolicLinkIsReplacedNotFollowed(t *testing.T) {
	dir := t.TempDir()
	victim, link := filepath.Join(t.TempDir(), "victim"), filepath.Join(dir, "link")
	if err := os.WriteFile(victim, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Skip("needs the right to make symbolic links (Windows developer mode)")
	}
	write(t, link, "ours")
	expect(t, victim, "theirs")
	expect(t, link, "ours")
}

func TestFailureKeepsTheOldContentAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	// A folder that is not empty can't be renamed over.
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("new")); err == nil {
		t.Fatal("a folder was replaced")
	}
	expectAlone(t, path)

	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "a file, not a folder")
	err := atomicfile.Write(filepath.Join(file, "below"), []byte("x"))
	if err == nil {
		t.Fatal("wrote below a file")
	}
	expect(t, file, "a file, not a folder")
}

// A reader finds one of the contents that were written, whole.
func TestReaderNeverSeesAHalf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a unix: Windows refuses to replace a file that somebody reads")
	}
	path := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 50_000)}
	write(t, path, string(contents[0]))
	var wg sync.WaitGroup
	for _, c := range contents {
		wg.Go(func() {
			for range 50 {
				if err := atomicfile.Write(path, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
				t.Errorf("read %d bytes starting %.1q, %v", len(got), got, err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	wg.Wait()
	close(stop)
	reader.Wait()
	expectAlone(t, path)
}

func TestEmptyAndBareNames(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "bare", "")
	expect(t, "bare", "")
	if err := atomicfile.Write("", []byte("x")); err == nil {
		t.Error("an empty path was accepted")
	}
}
