package keychain

import (
	"crypto/sha256"
	"sync"
)

// doubts remembers the writes of which nobody knows whether, or when, they
// take effect: those that were begun and given up. Such a write may land after
// a newer one and bring an old secret back (T13). A read that finds what a
// doubtful write wrote, although a newer one succeeded, knows that this
// happened, and what belongs there instead.
//
// An empty content stands for a deleted item.
type doubts struct {
	mu sync.Mutex
	m  map[string]*doubt // by profile; only those in doubt
}

type doubt struct {
	open map[[sha256.Size]byte]int // writes begun and not known to have ended, by content
	// want is the content of the newest write that succeeded while others were
	// open, if wanted is set. It is kept in memory, since the keychain may lose it.
	want   string
	wanted bool
}

func newDoubts() *doubts { return &doubts{m: map[string]*doubt{}} }

// begin says that a write of content is about to start.
func (d *doubts) begin(profile, content string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.m[profile]
	if r == nil {
		r = &doubt{open: map[[sha256.Size]byte]int{}}
		d.m[profile] = r
	}
	r.open[sha256.Sum256([]byte(content))]++
}

// refused says that a write that began never left this process.
func (d *doubts) refused(profile, content string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.close(profile, content)
}

// succeeded says that a write took effect. It reports whether older ones are
// still open.
func (d *doubts) succeeded(profile, content string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.close(profile, content)
	if r != nil {
		r.want, r.wanted = content, true
	}
	return r != nil
}

// close ends one write, and returns what is left of the profile's record.
func (d *doubts) close(profile, content string) *doubt {
	r := d.m[profile]
	if r == nil {
		return nil
	}
	h := sha256.Sum256([]byte(content))
	if r.open[h]--; r.open[h] <= 0 {
		delete(r.open, h)
	}
	if len(r.open) == 0 {
		delete(d.m, profile)
		return nil
	}
	return r
}

// judge looks at what a read found. If a write that was overtaken has landed,
// it returns true and what should be there.
func (d *doubts) judge(profile, found string) (want string, overtaken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.m[profile]
	if r == nil || !r.wanted || found == r.want {
		return "", false
	}
	if r.open[sha256.Sum256([]byte(found))] > 0 {
		return r.want, true
	}
	// Another program has written: its content is newer than ours.
	r.want, r.wanted = "", false
	return "", false
}
