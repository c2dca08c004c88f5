package main

import (
	"slices"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// toolList in place of a tool's name asks for the table.
const toolList = "list"

// toolName is the value of --for.
type toolName struct {
	p    *string
	list bool // toolList is one
}

func (t toolName) String() string {
	if t.p == nil {
		return ""
	}
	return *t.p
}

func (t toolName) Set(s string) error {
	if ipc.CheckName(s) != nil {
		return usage("not the name of a tool: "+quote(s), "see: cspctl exec --for list")
	}
	*t.p = s
	return nil
}

// envList is the values of --env.
type envList struct{ list []ipc.ToolVar }

func (e *envList) String() string { return "" }

func (e *envList) Set(s string) error {
	name, what, ok := strings.Cut(s, "=")
	if !ok || !slices.Contains(ipc.Gives, what) {
		hint := ""
		if near := closest(what, ipc.Gives); near != "" {
			hint = "did you mean: --env " + name + "=" + near
			if checkVariable(name) != nil {
				hint = ""
			}
		}
		return usage("not NAME=WHAT, where WHAT is "+strings.Join(ipc.Gives, ", ")+": "+quote(s), hint)
	}
	if err := checkVariable(name); err != nil {
		return err
	}
	e.list = append(e.list, ipc.ToolVar{Name: name, Value: "{" + what + "}"})
	return nil
}

// candidates of completion: the names are the user's own.
func (e *envList) candidates() []candidate { return nil }

func tools(c *ipc.Client) ([]ipc.Tool, error) {
	var list ipc.Tools
	err := c.Call("GET", "/v1/tools", nil, &list)
	return list.Tools, err
}

// findTool returns a tool that can be served.
func findTool(c *ipc.Client, name string) (ipc.Tool, error) {
	list, err := tools(c)
	if err != nil {
		return ipc.Tool{}, err
	}
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.Name
		if t.Name != name {
			continue
		}
		if t.Reason != "" {
			return t, usage("nothing can be done for "+name+": "+t.Reason, "see: cspctl exec --for list")
		}
		return t, nil
	}
	hint := "see: cspctl exec --for list; the settings can add it"
	if near := closest(name, names); near != "" {
		hint = "did you mean: --for " + near
	}
	return ipc.Tool{}, usage("there is no tool "+quote(name), hint)
}

func runToolList(a *app) error {
	list, err := tools(a.agent())
	if err != nil {
		return err
	}
	if a.json {
		if list == nil {
			list = []ipc.Tool{}
		}
		return a.printJSON(struct {
			Schema int        `json:"schema"`
			Tools  []ipc.Tool `json:"tools"`
		}{schema, list})
	}
	var t term.Table
	var notes []string
	t.Row("TOOL", "WHAT IT IS", "SET FOR IT", "RENEWS")
	for _, tool := range list {
		sets := make([]string, len(tool.Env))
		for i, v := range tool.Env {
			sets[i] = v.Name
		}
		if tool.Reason != "" {
			sets, tool.Renews = []string{"-"}, "-"
			notes = append(notes, tool.Name+": not served: "+tool.Reason)
		}
		if tool.Note != "" {
			notes = append(notes, tool.Name+": "+tool.Note)
		}
		t.Row(tool.Name, tool.Title, strings.Join(sets, " "), tool.Renews)
	}
	out := t.String()
	for i, n := range notes {
		if i == 0 {
			out += "\n"
		}
		out += term.Clean(n) + "\n"
	}
	return a.print(out)
}
