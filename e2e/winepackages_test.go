//go:build unix

package e2e_test

import "testing"

func windowsPackages(t *testing.T, w *windows) {}
