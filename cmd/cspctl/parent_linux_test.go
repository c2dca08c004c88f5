package main

import "testing"

func TestStartOfAProcess(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	for stat, want := range map[string]string{
		"12 (kubectl)" + rest:           "4711",
		"12 (a name) (with) R )" + rest: "4711",
		"12 (kubectl) S 1 2":            "",
		"":                              "",
	} {
		if got, ok := startOf([]byte(stat)); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", stat, got, ok)
		}
	}
	if name, ok := parentProcess(); !ok || len(name) > 40 {
		t.Errorf("the parent is %q, %v", name, ok)
	}
}
