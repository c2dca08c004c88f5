package loopback_test

import (
	"net"
	"os"
	"testing"

	"github.com/cspctl/cspctl/internal/loopback"
)

// A connection of the machine with itself by another address is in the same
// table, and is refused all the same.
func TestOwnAddressIsNotLoopback(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil || ip.IP.IsLoopback() {
			continue
		}
		_, accepted := connect(t, ip.IP.String(), ip.IP.String())
		mustBe(t, loopback.BelongsTo(accepted, uint32(os.Getuid())), loopback.ErrUnknown)
		return
	}
	t.Skip("needs an IPv4 address that is not of loopback")
}
