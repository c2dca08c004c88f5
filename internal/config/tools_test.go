package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestTools(t *testing.T) {
	s, err := parse("config.toml", []byte(`[tools.report]
env = { TOKEN = "{standin}", AT = "{url}/auth" }
tls = true
title = "our report"
[tools.vib]
tls = false
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []ipc.ToolVar{{Name: "AT", Value: "{url}/auth"}, {Name: "TOKEN", Value: "{standin}"}}
	report, vib := s.Tools["report"], s.Tools["vib"]
	if d := cmp.Diff(want, report.Vars()); d != "" || report.TLS == nil || !*report.TLS || report.Title != "our report" {
		t.Errorf("%+v %s", report, d)
	}
	if vib.TLS == nil || *vib.TLS || vib.Vars() != nil {
		t.Errorf("%+v", vib)
	}
}

func TestToolsThatCantBe(t *testing.T) {
	for text, want := range map[string]string{
		"[tools.x]\nenv = { A = \"{token}\" }":                             "config.toml:2: the value of \"A\" has braces",
		"[tools.x]\nenv = { A = \"{standin\" }":                            "config.toml:2: ",
		"\n[tools.x.env]\nLD_PRELOAD = \"{url}\"":                          "config.toml:2: the variable LD_PRELOAD decides",
		"[tools.x]\ntitle = \"x\"\nenv = { DYLD_INSERT_LIBRARIES = \"\" }": "config.toml:3: the variable DYLD_INSERT_LIBRARIES decides",
		"[tools.x]\nenv = { path = \"/tmp\" }":                             "config.toml:2: the variable path decides",
		"[tools.x]\nenv = { \"A B\" = \"\" }":                              "config.toml:2: not a name that a shell takes",
		"[tools.x]\nenv = { 1A = \"\" }":                                   "config.toml:2: not a name that a shell takes",
		"\n[tools.list]\ntls = true":                                       "config.toml:2: [tools.NAME]",
		"[tools.\"a b\"]\ntls = true":                                      "[tools.NAME]",
		"[tools.x]\ntitle = \"a\\nb\"":                                     "config.toml:2: title is one line",
		"[tools.x]\nenvs = {}":                                             "config.toml:2: there is no setting tools.x.envs",
	} {
		if _, err := parse("config.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
