package loopback_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/loopback"
)

// connect returns both ends of a connection to a listener at an address.
func connect(t testing.TB, listen, dial string) (client *net.TCPConn, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", listen+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c, err := net.Dial("tcp", dial+":"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	return c.(*net.TCPConn), accepted
}

// needIPv6 skips a test where loopback has no IPv6.
func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("needs IPv6 on loopback: %v", err)
	}
	_ = l.Close()
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// wrapper hides what a connection is, as one with TLS does.
type wrapper struct{ net.Conn }

func TestOwnProcessPasses(t *testing.T) {
	for _, test := range []struct{ name, listen, dial string }{
		{"IPv4", "127.0.0.1", "127.0.0.1"},
		{"IPv4, another address of loopback", "127.0.0.2", "127.0.0.2"},
		{"IPv6", "[::1]", "[::1]"},
		{"IPv4, a listener for both", "", "127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.Contains(test.dial, "::1") {
				needIPv6(t)
			}
			client, accepted := connect(t, test.listen, test.dial)
			uid := uint32(os.Getuid())
			mustBe(t, loopback.BelongsTo(accepted, uid), nil)
			mustBe(t, loopback.BelongsTo(wrapper{accepted}, uid), nil)
			// A client that has said all it has to say waits for the answer.
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			mustBe(t, loopback.BelongsTo(accepted, uid), nil)
		})
	}
}

// A socket that no process has open shows as root's, which makes it nobody's.
func TestClosedPeerIsRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		close func(client *net.TCPConn, accepted net.Conn) error
	}{
		{"closed", func(client *net.TCPConn, _ net.Conn) error { return client.Close() }},
		{"closed, with data on the way", func(client *net.TCPConn, _ net.Conn) error {
			_, err := client.Write(make([]byte, 1000))
			return errors.Join(err, client.Close())
		}},
		{"reset", func(client *net.TCPConn, _ net.Conn) error { return errors.Join(client.SetLinger(0), client.Close()) }},
		{"closed by both", func(client *net.TCPConn, accepted net.Conn) error {
			return errors.Join(client.Close(), accepted.Close())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, accepted := connect(t, "127.0.0.1", "127.0.0.1")
			ends := addresses{local: accepted.LocalAddr(), remote: accepted.RemoteAddr()}
			if err := test.close(client, accepted); err != nil {
				t.Fatal(err)
			}
			for _, uid := range []uint32{0, uint32(os.Getuid())} {
				mustBe(t, loopback.BelongsTo(ends, uid), loopback.ErrUnknown)
			}
		})
	}
}

// addresses are all that BelongsTo needs of a connection.
type addresses struct {
	net.Conn
	local, remote net.Addr
}

func (a addresses) LocalAddr() net.Addr  { return a.local }
func (a addresses) RemoteAddr() net.Addr { return a.remote }

func TestOnlyLoopbackIsKnown(t *testing.T) {
	at := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	local := at("127.0.0.1:80")
	for _, c := range []net.Conn{
		addresses{local: local, remote: at("192.0.2.1:1234")},
		addresses{local: at("192.0.2.1:80"), remote: local},
		addresses{local: local, remote: at("127.0.0.1:1")}, // nobody
		addresses{local: local, remote: at("[::1]:1")},
		addresses{local: local, remote: &net.UnixAddr{Name: "x", Net: "unix"}},
		addresses{local: local, remote: (*net.TCPAddr)(nil)},
		addresses{local: local},
	} {
		mustBe(t, loopback.BelongsTo(c, uint32(os.Getuid())), loopback.ErrUnknown)
	}
}
