//go:build !windows

package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// browser returns the program that opens a page, and its arguments.
func browser(getenv func(string) string, page string) (exe string, args []string, err error) {
	if runtime.GOOS == "darwin" {
		return "/usr/bin/open", []string{page}, nil
	}
	display := getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != ""
	if exe := ipc.FindProgram("xdg-open", getenv); display && exe != "" {
		return exe, []string{page}, nil
	}
	// An editor on another machine sets it where there is no display.
	if exe, args := chosenBrowser(getenv, page); exe != "" {
		return exe, args, nil
	}
	if !display {
		return "", nil, errors.New("there is no display to open a browser on")
	}
	return "", nil, errors.New("there is neither xdg-open nor $BROWSER to open a page with")
}

// chosenBrowser returns the first command of $BROWSER whose program is there:
// commands with colons between, in which %s stands for the page. No shell reads
// them.
func chosenBrowser(getenv func(string) string, page string) (exe string, args []string) {
	for command := range strings.SplitSeq(getenv("BROWSER"), ":") {
		words := strings.Fields(command)
		if len(words) == 0 {
			continue
		}
		exe := words[0]
		if !strings.Contains(exe, "/") {
			exe = ipc.FindProgram(exe, getenv)
		} else if info, err := os.Stat(exe); err != nil || !filepath.IsAbs(exe) || !info.Mode().IsRegular() {
			exe = ""
		}
		if exe == "" {
			continue
		}
		args, placed := words[1:], false
		for i, w := range args {
			args[i] = strings.ReplaceAll(w, "%s", page)
			placed = placed || args[i] != w
		}
		if !placed {
			args = append(args, page)
		}
		return exe, args
	}
	return "", nil
}
