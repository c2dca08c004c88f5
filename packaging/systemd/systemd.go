// Package systemd holds the unit files: packages install them as they are, and
// `csp-agent install` writes them where no package has.
package systemd

import "embed"

// Units are the files below user, system and sysusers.d, by their path.
//
//go:embed user/csp-agent* user/sandbox.conf system sysusers.d
var Units embed.FS
