package main

import "os"

// passHeader puts a header where curl reads it, and nobody else: into a pipe
// that is its stdin.
func passHeader(header string) (path string, done func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", nil, err
	}
	stdin := os.Stdin
	os.Stdin = r
	go func() {
		_, _ = w.WriteString(header) // an error: curl has ended
		_ = w.Close()
	}()
	return "-", func() { os.Stdin = stdin; _ = r.Close(); _ = w.Close() }, nil
}
