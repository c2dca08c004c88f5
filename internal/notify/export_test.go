//go:build unix && !darwin

package notify

import "time"

// Patience sets how long one call may take.
func (d *Desktop) Patience(p time.Duration) { d.patience = p }

// Clock sets the clock.
func (d *Desktop) Clock(now func() time.Time) { d.now = now }
