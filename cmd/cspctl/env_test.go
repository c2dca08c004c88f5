package main

import (
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestEnv(t *testing.T) {
	f := newAgent(t)
	f.token(nil)
	f.json("GET /v1/tools", ipc.Tools{Tools: []ipc.Tool{
		{Name: "vcd", Env: []ipc.ToolVar{{Name: "KIND", Value: `it's \ "$x`}, {Name: "VCD_TOKEN", Value: "{access}"}}},
		{Name: "vmc", Env: []ipc.ToolVar{{Name: "API_TOKEN", Value: "{standin}"}}},
		{Name: "shut", Reason: "nothing points it elsewhere"},
	}})
	for shellName, want := range map[string]string{
		"bash":       `export KIND='it'\''s \ "$x'` + "\nexport VCD_TOKEN='" + aToken + "'\n",
		"fish":       `set -gx KIND 'it\'s \\ "$x'` + "\nset -gx VCD_TOKEN '" + aToken + "'\n",
		"powershell": `$env:KIND = 'it''s \ "$x'` + "\n$env:VCD_TOKEN = '" + aToken + "'\n",
	} {
		r := shell{agent: f}.run(t, "env", "--for", "vcd", "--shell", shellName)
		r.want(t, 0)
		if r.stdout != want {
			t.Errorf("%s: %q, want %q", shellName, r.stdout, want)
		}
	}
	r := shell{agent: f, env: map[string]string{"SHELL": "/usr/bin/fish"}}.run(t, "env", "--for", "vcd")
	if r.stdout[:7] != "set -gx" {
		t.Errorf("%+v", r)
	}
	shell{agent: f}.run(t, "env", "prod", "--for", "vmc").want(t, 2, "hint: use: cspctl exec prod --for vmc -- CMD ...")
	shell{agent: f}.run(t, "env", "--for", "shut").want(t, 2, "nothing points it elsewhere")
	shell{agent: f}.run(t, "env").want(t, 2, "env needs --for TOOL")
	shell{agent: f}.run(t, "env", "--for", "list").want(t, 2, `there is no tool "list"`)
	shell{agent: f}.run(t, "env", "--for", "vcd", "--shell", "fihs").want(t, 2, "did you mean: fish")
}
