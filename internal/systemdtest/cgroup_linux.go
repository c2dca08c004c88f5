package systemdtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const cgroupPrefix = "systemdtest-"

// makeCgroups makes a control group for the container below this process's
// own, in each hierarchy that systemd uses: two containers in one would each
// take the other's processes for its own. It also removes those that tests
// left empty which have ended; nobody is there at that time to do it.
func makeCgroups(number string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var made []string
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		var root string
		switch {
		case f[1] == "name=systemd":
			root = "/sys/fs/cgroup/systemd"
		case f[1] == "" && isDir("/sys/fs/cgroup/unified"):
			root = "/sys/fs/cgroup/unified"
		case f[1] == "":
			root = "/sys/fs/cgroup"
		default:
			continue
		}
		parent := filepath.Join(root, f[2])
		sweep(parent)
		dir := filepath.Join(parent, cgroupPrefix+number)
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
			return nil, err
		}
		made = append(made, dir)
	}
	return made, nil
}

// sweep removes the groups of processes that have ended.
func sweep(parent string) {
	old, _ := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	for _, dir := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix), "-")
		if isDir("/proc/" + pid) {
			continue
		}
		var dirs []string
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, d := range slices.Backward(dirs) {
			_ = os.Remove(d) // which fails as long as a process is in it
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
