//go:build unix

package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every file that a document points to is there.
func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	found := 0
	for _, doc := range append(docs, "../README.md", "../SECURITY.md", "../cmd/csp-sim/README.md") {
		b, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s points to %s, which is not there", strings.TrimPrefix(doc, "../"), m[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("%d links", found)
	}
}
