package launchd_test

import (
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/packaging/launchd"
)

func TestPlistIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(launchd.Plist))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// The names are those that kardianos/service fills in.
func TestPlaceholders(t *testing.T) {
	found := regexp.MustCompile(`\{\{[^}]*\}\}`).FindAllString(launchd.Plist, -1)
	slices.Sort(found)
	if want := []string{"{{Name | html}}", "{{Path | html}}", "{{StandardErrorPath | html}}"}; !slices.Equal(found, want) {
		t.Errorf("got %q", found)
	}
}
