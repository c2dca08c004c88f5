package main

import "syscall"

// dyingWithUs has the kernel tell the command to end if this process is killed.
// It is SIGTERM, so that Terraform can still write its state: the stand-in of a
// command that goes on all the same is dead.
func dyingWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
