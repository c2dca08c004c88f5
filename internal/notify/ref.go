//go:build unix && !darwin

package notify

import (
	"fmt"
	"strconv"
	"strings"
)

// ref names a notification beyond the life of the agent. Ids are counted anew
// by each server, so that an id alone would soon be another program's.
type ref struct {
	bus   string // by org.freedesktop.DBus.GetId: new at each start of the bus
	owner string // the server's unique name on that bus, never used twice
	id    uint32
}

func (r ref) String() string { return fmt.Sprintf("%s %s %d", r.bus, r.owner, r.id) }

// parseRef returns no ref (of id 0, which none has) for what String did not
// write.
func parseRef(s string) ref {
	f := strings.Fields(s)
	if len(f) != 3 {
		return ref{}
	}
	id, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return ref{}
	}
	return ref{f[0], f[1], uint32(id)}
}
