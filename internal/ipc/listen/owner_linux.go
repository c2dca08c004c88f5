package listen

import (
	"os"
	"strconv"
	"strings"
)

// standsForMany reports whether, in this user namespace, every uid that it
// does not map shows as that one (65534, see user_namespaces(7)).
func standsForMany(uid uint32) bool {
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		overflow = []byte("65534")
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && isOverflow(uid, string(overflow), string(ids))
}

// isOverflow: uidMap has the three columns of /proc/self/uid_map.
func isOverflow(uid uint32, overflow, uidMap string) bool {
	if strings.TrimSpace(overflow) != strconv.FormatUint(uint64(uid), 10) {
		return false
	}
	everyone := strings.Join(strings.Fields(uidMap), " ") == "0 0 4294967295"
	return !everyone
}
