package main

import "syscall"

// dyingWithUs: macOS has nothing like it. A command that outlives cspctl has a
// dead stand-in.
func dyingWithUs() *syscall.SysProcAttr { return new(syscall.SysProcAttr) }
