package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runningProgram returns the file that a process runs, and whether it was
// removed or replaced since. Of an agent, which is not dumpable, the kernel
// shows it to root alone: else it is "".
func runningProgram(pid int) (path string, gone bool) {
	path, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	if err != nil {
		return "", false
	}
	path, gone = strings.CutSuffix(path, " (deleted)")
	return path, gone
}

// changedSince reports whether the file was put in its place after that.
func changedSince(path string, at time.Time) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && time.Unix(s.Ctim.Unix()).After(at.Add(time.Second))
}

// process looks whether other processes can read the agent's memory.
func process(_ context.Context, e *exam) []Finding {
	st := e.reply().status
	if st == nil {
		return nil
	}
	dir := filepath.Join("/proc", strconv.Itoa(st.PID))
	// The kernel gives the files in there to root if the process is not
	// dumpable: proc(5).
	uid, err := owner(filepath.Join(dir, "limits"))
	if err != nil {
		return []Finding{info("the agent is in another pid namespace, a container perhaps: how it is closed to others can't be seen")}
	}
	switch {
	case os.Geteuid() == 0:
		// Root owns it either way.
	case uid == os.Geteuid():
		return []Finding{info("the agent's memory is open to other programs of this user: prctl(PR_SET_DUMPABLE) did not work here; its log says why")}
	}
	core := coreLimit(dir)
	if core != "0" {
		return []Finding{info("the agent may leave a core dump (limit " + core + ")")}
	}
	if os.Geteuid() == 0 {
		return []Finding{ok("the agent leaves no core dump")}
	}
	return []Finding{ok("the agent's memory is closed to other programs, and it leaves no core dump")}
}

// coreLimit is the soft limit of core dumps in /proc/PID/limits.
func coreLimit(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "limits"))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return f[0]
			}
		}
	}
	return "unknown"
}
