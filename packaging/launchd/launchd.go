// Package launchd holds the property list that `csp-agent install` writes on
// macOS.
package launchd

import _ "embed"

// Plist is a template of kardianos/service's kind.
//
//go:embed csp-agent.plist
var Plist string
