package main

import (
	"fmt"
	"os"
	"testing"
)

// The program runs at the root of the module, and so do its tests.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(madeIn)
	os.Exit(code)
}

// madeIn is the folder of the release that the tests share; empty until one
// needs it.
var madeIn string
