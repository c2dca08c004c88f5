package loopback_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cspctl/cspctl/internal/loopback"
)

// An IPv6 socket that is connected to an IPv4 address is in the table of IPv6.
func TestDualStackClientPasses(t *testing.T) {
	needIPv6(t)
	for _, listen := range []string{"127.0.0.1", ""} { // the other end may be one of both kinds, too
		l, err := net.Listen("tcp", listen+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		to := &unix.SockaddrInet6{Port: l.Addr().(*net.TCPAddr).Port, Addr: [16]byte(net.IPv4(127, 0, 0, 1).To16())}
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mustBe(t, loopback.BelongsTo(c, uint32(os.Getuid())), nil)
		mustBe(t, loopback.BelongsTo(c, uint32(os.Getuid())+1), loopback.ErrOther)
	}
}

func TestOtherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to run a program as another user")
	}
	const other, overflow = 65533, 65534
	for _, uid := range []uint32{other, overflow} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		// bash(1), REDIRECTION: /dev/tcp/HOST/PORT. It ends when it is answered.
		child := exec.CommandContext(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+" && echo connected && read -u 3")
		child.Dir = "/"
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "connected\n" {
			t.Fatalf("the child says %q: %v", line, err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if uid == overflow { // it stands for many
			mustBe(t, loopback.BelongsTo(c, uid), loopback.ErrUnknown)
		} else {
			mustBe(t, loopback.BelongsTo(c, uid), nil)
			mustBe(t, loopback.BelongsTo(c, 0), loopback.ErrOther)
		}
		_ = c.Close()
		_ = child.Wait()
	}
}

// 10,000 sockets are in the kernel's table; the one that is looked for is
// somewhere among them.
func BenchmarkBelongsTo(b *testing.B) {
	const others = 5000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*others+100 {
		b.Skipf("needs %d open files, has %d (%v)", 2*others+100, limit.Cur, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for range others {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		a, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
	}
	_, accepted := connect(b, "127.0.0.1", "127.0.0.1")
	for b.Loop() {
		if err := loopback.BelongsTo(accepted, uint32(os.Getuid())); err != nil {
			b.Fatal(err)
		}
	}
}
