package windows_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/packaging/windows"
)

func TestTaskIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(windows.Task))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is written as UTF-16
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(windows.Task, "USER_SID") != 2 || strings.Count(windows.Task, "AGENT_PATH") != 1 {
		t.Error("the task has lost its placeholders")
	}
}
