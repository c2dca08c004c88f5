// Package expiry warns of API tokens that are about to end: the stages before
// the end, and the [Watch] that tells people of each once.
package expiry

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

const day = 24 * time.Hour

// Stage is a point before the end of an API token at which its owner is told.
type Stage struct {
	Name   string // 30d, 1h; ipc.StageExpired
	Before time.Duration
}

// Stages are ordered from the most urgent to the least. The first is always
// ipc.StageExpired.
type Stages []Stage

// Default are the stages where the settings name none.
var Default = mustStages(30*day, 14*day, 7*day, 3*day, day, time.Hour)

func mustStages(before ...time.Duration) Stages {
	s, err := NewStages(before)
	if err != nil {
		panic(err)
	}
	return s
}

// MaxStages bounds the stages of one profile.
const MaxStages = 20

// NewStages makes stages that begin this long before the end, in any order;
// the end itself is always one. It fails on a stage of less than a minute, on
// one that is there twice, and on more than MaxStages.
func NewStages(before []time.Duration) (Stages, error) {
	if len(before) > MaxStages {
		return nil, fmt.Errorf("there are over %d stages", MaxStages)
	}
	before = slices.Sorted(slices.Values(before))
	s := Stages{{ipc.StageExpired, 0}}
	for i, b := range before {
		switch {
		case b < time.Minute:
			return nil, fmt.Errorf("a stage begins at least a minute before the end")
		case i > 0 && before[i-1] == b:
			return nil, fmt.Errorf("the stage %s is there twice", stageName(b))
		}
		s = append(s, Stage{stageName(b), b})
	}
	return s, nil
}

// stageName writes a time before the end in its largest whole unit, as
// ipc.ParseDuration reads it.
func stageName(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return d.String()
}

// before is the time before the end of a stage by its name, also of one that
// the settings no longer have; false for those that are no time before it.
func before(stage string) (time.Duration, bool) {
	if stage == ipc.StageExpired {
		return 0, true
	}
	d, bad := ipc.ParseDuration(stage)
	return d, bad == nil && d > 0
}

// For returns the stages that make sense for a token with this whole life: a
// stage that would begin in the first tenth of it is left out, since a token of
// a week is not about to expire when it is new. A life of zero is not known,
// and leaves out none.
func (s Stages) For(life time.Duration) Stages {
	if life <= 0 {
		return s
	}
	n := 1
	for n < len(s) && s[n].Before <= life-life/10 {
		n++
	}
	return s[:n]
}

// At returns the stage that a token has reached with this life left, false if
// it has reached none.
func (s Stages) At(left time.Duration) (Stage, bool) {
	for _, stage := range s {
		if left <= stage.Before {
			return stage, true
		}
	}
	return Stage{}, false
}

// Names returns the names in the order in which a token meets them.
func (s Stages) Names() []string {
	var names []string
	for _, stage := range slices.Backward(s) {
		names = append(names, stage.Name)
	}
	return names
}
