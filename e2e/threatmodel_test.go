//go:build unix

package e2e_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Every test that the threat model appeals to is there.
func TestThreatModelNamesTests(t *testing.T) {
	model, err := os.ReadFile("../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := exec.Command("grep", "-rhoE", "--include=*_test.go", `^func (Test|Fuzz)\w+\(`, "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(model, -1)
	for _, m := range names {
		if !strings.Contains(string(sources), "func "+string(m[1])+"(") {
			t.Errorf("there is no %s", m[1])
		}
	}
	scripts := regexp.MustCompile("`(\\w+\\.txtar)`").FindAllSubmatch(model, -1)
	for _, m := range scripts {
		if _, err := os.Stat("testdata/" + string(m[1])); err != nil {
			t.Error(err)
		}
	}
	if len(names) < 30 || len(scripts) < 2 {
		t.Errorf("%d tests and %d scripts", len(names), len(scripts))
	}
}
