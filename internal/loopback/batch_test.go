package loopback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Whoever waits while the table is read is answered by the next reading, all at
// once.
func TestOneReadingAnswersAll(t *testing.T) {
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	var sizes []int
	b := batch{look: func(asked []*question) {
		sizes = append(sizes, len(asked))
		begun <- struct{}{}
		<-goOn
		for _, q := range asked {
			q.owner, q.err = uint32(q.local.Port()), nil
		}
	}}
	var work sync.WaitGroup
	ask := func(port uint16) {
		work.Go(func() {
			if owner, err := b.ask(ends{local: netip.AddrPortFrom(netip.IPv6Loopback(), port)}); owner != uint32(port) || err != nil {
				t.Errorf("%d: %d, %v", port, owner, err)
			}
		})
	}
	ask(1)
	<-begun
	for port := range uint16(100) {
		ask(port + 2)
	}
	for waiting := 0; waiting < 100; runtime.Gosched() {
		b.mu.Lock()
		waiting = len(b.waiting)
		b.mu.Unlock()
	}
	close(goOn)
	<-begun
	work.Wait()
	if len(sizes) != 2 || sizes[1] != 100 {
		t.Errorf("readings of %v", sizes)
	}
}

func TestProcTableHasManyAtOnce(t *testing.T) {
	var rows strings.Builder
	var asked []*question
	for i := range 50 {
		rows.WriteString(procLine(fmt.Sprintf("0100007F:%04X", 1000+i), "0100007F:1F90", "01", i, 5))
		if i%2 == 0 {
			asked = append(asked, &question{ends: endsFor(fmt.Sprintf("127.0.0.1:%d", 1000+i), "127.0.0.1:8080"), err: errNotListed})
		}
	}
	absent := &question{ends: endsFor("127.0.0.1:7", "127.0.0.1:8080"), err: errNotListed}
	if err := (procTable{bytes: 4}).find(strings.NewReader(rows.String()), append(asked, absent), binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	for i, q := range asked {
		if q.err != nil || q.owner != uint32(2*i) {
			t.Errorf("%v: %d, %v", q.ends, q.owner, q.err)
		}
	}
	if !errors.Is(absent.err, errNotListed) {
		t.Errorf("%d, %v", absent.owner, absent.err)
	}
}
