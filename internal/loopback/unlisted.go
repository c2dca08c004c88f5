//go:build linux || windows

package loopback

import "errors"

// unlisted are the questions to which no table had an answer yet.
func unlisted(asked []*question) (rest []*question) {
	for _, q := range asked {
		if errors.Is(q.err, errNotListed) {
			rest = append(rest, q)
		}
	}
	return rest
}
