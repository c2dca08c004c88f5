package main

import (
	"errors"
	"path/filepath"
)

// browser returns the program that opens a page, and its arguments. No command
// interpreter reads the page: & is a character of URLs.
func browser(getenv func(string) string, page string) (exe string, args []string, err error) {
	root := getenv("SystemRoot")
	if !filepath.IsAbs(root) {
		return "", nil, errors.New("SystemRoot is not set, so there is no way to the browser")
	}
	return filepath.Join(root, "System32", "rundll32.exe"), []string{"url.dll,FileProtocolHandler", page}, nil
}
