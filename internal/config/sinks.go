package config

import (
	"path/filepath"
	"strings"
)

// Sinks say where files with tokens may be.
type Sinks struct {
	// Dirs are absolute folders. A file with a token may be in one or below it,
	// besides the agent's own folder for them.
	Dirs []string `toml:"dirs"`
}

func (s Sinks) check() string {
	for _, dir := range s.Dirs {
		switch {
		case !filepath.IsAbs(dir) || filepath.Clean(dir) != dir:
			return "dirs of [sinks] are absolute paths, without .. and a / at the end"
		case filepath.Dir(dir) == dir:
			return "dirs of [sinks] can't have the root of a file system"
		case strings.ContainsFunc(dir, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return "dirs of [sinks] can't have control characters"
		}
	}
	return ""
}
