package expiry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
)

const day = 24 * time.Hour

// T6: at every second around each edge the stage is the one that its name says.
func TestT6P7StagesBeginWhenTheirNameSays(t *testing.T) {
	for _, s := range expiry.Default {
		if s.Name != ipc.StageExpired {
			if d, bad := ipc.ParseDuration(s.Name); bad != nil || d != s.Before {
				t.Errorf("stage %s begins %v before the end", s.Name, s.Before)
			}
		}
		for off := -3 * time.Second; off <= 3*time.Second; off += time.Second {
			got, ok := expiry.Default.At(s.Before + off)
			if in := ok && got == s; in != (off <= 0) {
				t.Errorf("%v beside %s: %v, %v", off, s.Name, got, ok)
			}
		}
	}
}

func TestP7ShortLivesStartAtTheStageThatMakesSense(t *testing.T) {
	for _, c := range []struct {
		life time.Duration
		want string
	}{
		{0, "30d 14d 7d 3d 1d 1h expired"}, // not known
		{180 * day, "30d 14d 7d 3d 1d 1h expired"},
		{34 * day, "30d 14d 7d 3d 1d 1h expired"},
		{30 * day, "14d 7d 3d 1d 1h expired"},
		{14 * day, "7d 3d 1d 1h expired"},
		{10 * day, "7d 3d 1d 1h expired"},
		{7 * day, "3d 1d 1h expired"},
		{day, "1h expired"},
		{time.Hour, "expired"},
		{30 * time.Minute, "expired"}, // the shortest that the console makes
	} {
		if got := strings.Join(expiry.Default.For(c.life).Names(), " "); got != c.want {
			t.Errorf("life %v: %s, want %s", c.life, got, c.want)
		}
	}
}

func TestStagesOfTheSettings(t *testing.T) {
	for _, c := range []struct {
		before []time.Duration
		want   string // "" for an error
	}{
		{nil, "expired"},
		{[]time.Duration{time.Hour, 10 * day, 90 * time.Minute}, "10d 90m 1h expired"},
		{[]time.Duration{time.Minute + time.Second}, "1m1s expired"},
		{[]time.Duration{day, 24 * time.Hour}, ""},
		{[]time.Duration{time.Second}, ""},
		{make([]time.Duration, expiry.MaxStages+1), ""},
	} {
		s, err := expiry.NewStages(c.before)
		if got := strings.Join(s.Names(), " "); (err != nil) != (c.want == "") || got != c.want {
			t.Errorf("%v: %s, %v", c.before, got, err)
		}
	}
}
