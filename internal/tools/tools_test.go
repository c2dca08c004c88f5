package tools_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/tools"
)

func TestTheTable(t *testing.T) {
	list := tools.Known()
	names := []string{}
	for _, tool := range list {
		names = append(names, tool.Name)
		if ipc.CheckName(tool.Name) != nil || tool.Name == "list" || tool.Title == "" {
			t.Errorf("%+v: a name for --for, and a title", tool)
		}
		if tool.Env == nil || (tool.Reason == "") == (len(tool.Env) == 0) || (tool.Reason == "") == (tool.Renews == "") {
			t.Errorf("%+v: either it is given something, and renews or does not, or there is a reason", tool)
		}
		if strings.ContainsAny(tool.Note+tool.Reason+tool.Renews, "\n\t") || strings.HasSuffix(tool.Note, ".") {
			t.Errorf("%s: a note is one line, without a full stop", tool.Name)
		}
		standIn, address, access := false, false, false
		for _, v := range tool.Env {
			if err := ipc.CheckToolVar(v.Name); err != nil {
				t.Errorf("%s: %v", tool.Name, err)
			}
			needs, err := v.Needs()
			if err != nil {
				t.Errorf("%s: %v", tool.Name, err)
			}
			standIn = standIn || slices.Contains(needs, ipc.GiveStandIn)
			address = address || slices.Contains(needs, ipc.GiveURL) || slices.Contains(needs, ipc.GiveHostPort)
			access = access || slices.Contains(needs, ipc.GiveAccess)
		}
		if standIn != address || standIn && access || tool.TLS && !standIn {
			t.Errorf("%s: a stand-in is worth nothing without its address, and is not needed beside an access token", tool.Name)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("not by name, or twice: %q", names)
	}
	for _, want := range strings.Fields("terraform-vmc terraform-nsxt terraform-tmc terraform-vra terraform-vcd terraform-vcfa tanzu tmc mkpcli wavefront carbonblack vib pyvmc vdk") {
		if !slices.Contains(names, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestSettingsGoBeforeTheTable(t *testing.T) {
	yes, no := true, false
	known := []ipc.Tool{
		{Name: "b", Title: "B", Env: []ipc.ToolVar{{Name: "X", Value: "{access}"}}, Renews: "never", Note: "n"},
		{Name: "c", Title: "C", Env: []ipc.ToolVar{}, Reason: "r"},
		{Name: "d", Title: "D", TLS: true},
	}
	env := []ipc.ToolVar{{Name: "Y", Value: "{standin}"}}
	got := tools.With(known, map[string]tools.Change{
		"a": {Env: env, TLS: &yes},
		"b": {Title: "mine"},
		"c": {Env: env},
		"d": {TLS: &no},
	})
	want := []ipc.Tool{
		{Name: "a", Title: "a", Env: env, TLS: true},
		{Name: "b", Title: "mine", Env: []ipc.ToolVar{{Name: "X", Value: "{access}"}}, Renews: "never", Note: "n"},
		{Name: "c", Title: "C", Env: env},
		{Name: "d", Title: "D"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if known[0].Title != "B" {
		t.Error("the table was changed")
	}
}
