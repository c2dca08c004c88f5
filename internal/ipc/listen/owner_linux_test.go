package listen

import (
	"os"
	"testing"
)

// T27: in a container's user namespace every user that it does not map shows
// as 65534, so that uid proves nothing there.
func TestT27OverflowUIDIsNobodyInParticular(t *testing.T) {
	const whole = "         0          0 4294967295\n"
	for _, c := range []struct {
		uid     uint32
		uidMap  string
		refused bool
	}{
		{65534, whole, false},
		{65534, "0 100000 65536\n", true},
		{65534, "", true},
		{1000, "0 100000 65536\n", false},
	} {
		if got := isOverflow(c.uid, "65534\n", c.uidMap); got != c.refused {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	self := uint32(os.Geteuid())
	if allow := ownerOnly(false); self != 65534 && (!allow(Peer{UID: self}) || allow(Peer{UID: self + 1})) {
		t.Error("the owner alone is allowed")
	}
	if allow := ownerOnly(true); !allow(Peer{UID: 0}) {
		t.Error("root is not allowed in spite of AllowRoot")
	}
	if self != 0 && ownerOnly(false)(Peer{UID: 0}) {
		t.Error("root is allowed")
	}
}
