package main

// passHeader puts a header where curl reads it, and nobody of another user: into
// a file in memory. It returns its path for curl, which takes the place of this
// process and has it open.
func passHeader(header string) (path string, done func(), err error) {
	f, err := memFile("header", 0, []byte(header))
	if err != nil {
		return "", nil, err
	}
	return pathInside(f), func() { _ = f.Close() }, nil
}
