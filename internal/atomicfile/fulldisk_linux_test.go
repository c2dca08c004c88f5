package atomicfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cspctl/cspctl/internal/atomicfile"
)

// childEnv makes the test binary play a part in a process of its own.
const childEnv = "ATOMICFILE_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "tmpfs":
		err = onFullDisk(os.Args[1])
	case "rlimit":
		err = underFileSizeLimit(os.Args[1])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// onFullDisk mounts a tiny file system at dir, fills it, and writes.
func onFullDisk(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	path := filepath.Join(dir, "file")
	if err := atomicfile.Write(path, []byte("old")); err != nil {
		return err
	}
	return mustFail(path, syscall.ENOSPC)
}

func underFileSizeLimit(dir string) error {
	path := filepath.Join(dir, "file")
	if err := atomicfile.Write(path, []byte("old")); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
		return err
	}
	return mustFail(path, syscall.EFBIG)
}

// mustFail writes too much, and checks that all is as before.
func mustFail(path string, want error) error {
	err := atomicfile.Write(path, bytes.Repeat([]byte("n"), 200_000))
	if !errors.Is(err, want) {
		return fmt.Errorf("got %v, want %v", err, want)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "old" {
		return fmt.Errorf("the old content became %.20q, %w", got, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		return fmt.Errorf("left behind: %v, %w", entries, err)
	}
	return atomicfile.Write(path, []byte("small enough"))
}

// P8: a full disk loses nothing, and leaves no litter that keeps it full.
func TestP8FullDiskKeepsTheOldContent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(part string, attr *syscall.SysProcAttr) ([]byte, error) {
		cmd := exec.Command(exe, t.TempDir())
		cmd.Env = append(os.Environ(), childEnv+"="+part)
		cmd.SysProcAttr = attr
		return cmd.CombinedOutput()
	}
	t.Run("tmpfs", func(t *testing.T) {
		// A mount namespace of its own, so that no mount outlives the child; a
		// user namespace lends the right to mount where we are not root.
		attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			attr.Cloneflags |= syscall.CLONE_NEWUSER
			attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, err := run("tmpfs", attr)
		if errors.Is(err, syscall.EPERM) || bytes.Contains(out, []byte("mount")) && bytes.Contains(out, []byte("not permitted")) {
			t.Skip("needs root, or user namespaces, to mount a tiny file system")
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	t.Run("file size limit", func(t *testing.T) {
		if out, err := run("rlimit", nil); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}
