package kubeconfig

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const before = `# my clusters
apiVersion: v1
kind: Config
current-context: lab # the usual one
clusters:
  - name: lab
    cluster:
      server: https://lab.example:6443
  - name: prod
    cluster:
      server: https://prod.example:6443
contexts:
  - name: lab
    context: {cluster: lab, user: jo}
  # handle with care
  - name: prod
    context:
      cluster: prod
      namespace: web
users:
  - name: jo
    user:
      token: not-a-token # rotated by hand
`

func TestSet(t *testing.T) {
	e := Entry{User: "csp-prod", Context: "prod", Command: "cspctl", Profile: "prod"}
	after, err := Set([]byte(before), e)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(before), "\n") {
		if !strings.Contains(string(after), strings.TrimSpace(line)) {
			t.Errorf("this is gone: %s", line)
		}
	}
	var got struct {
		Contexts []struct {
			Name    string
			Context struct{ Cluster, User, Namespace string }
		}
		Users []struct {
			Name string
			User struct {
				Token string
				Exec  struct {
					APIVersion      string `yaml:"apiVersion"`
					Command         string
					Args            []string
					InteractiveMode string `yaml:"interactiveMode"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(after, &got); err != nil {
		t.Fatal(err)
	}
	if c := got.Contexts[1].Context; c.User != "csp-prod" || c.Cluster != "prod" || c.Namespace != "web" || got.Contexts[0].Context.User != "jo" {
		t.Errorf("%+v", got.Contexts)
	}
	u := got.Users[1]
	if u.Name != "csp-prod" || u.User.Exec.APIVersion != apiVersion || strings.Join(u.User.Exec.Args, " ") != "token prod -o exec-credential" || u.User.Exec.InteractiveMode != "IfAvailable" {
		t.Errorf("%+v", u)
	}
	again, err := Set(after, e)
	if err != nil || string(again) != string(after) {
		t.Errorf("the second time it is another file: %v\n%s", err, again)
	}
	e.Profile = "other"
	if other, err := Set(after, e); err != nil || !strings.Contains(string(other), "- other") || strings.Contains(string(other), "- prod\n            - -o") {
		t.Errorf("%v\n%s", err, other)
	}
}

func TestSetRefuses(t *testing.T) {
	if _, err := Set([]byte(before), Entry{User: "jo", Context: "prod", Command: "cspctl", Profile: "prod"}); !errors.Is(err, ErrOther) {
		t.Errorf("somebody else's entry: %v", err)
	}
	if after, err := Set([]byte(before), Entry{User: "jo", Context: "prod", Command: "cspctl", Profile: "prod", Replace: true}); err != nil || strings.Contains(string(after), "not-a-token") {
		t.Errorf("with --replace: %v\n%s", err, after)
	}
	_, err := Set([]byte(before), Entry{User: "x", Context: "nowhere", Command: "cspctl", Profile: "prod"})
	if e, ok := errors.AsType[*NoContextError](err); !ok || e.Error() != "there is no context nowhere: it has lab, prod" {
		t.Errorf("%v", err)
	}
	for _, garbage := range []string{"", "{", "[]", "a: b\n---\nc: d\n", "contexts: 5", "contexts: [{name: prod, context: 5}]", "\x00",
		"users: {a: b}\ncontexts: [{name: prod, context: {}}]", "users: 5\ncontexts: [{name: prod, context: {}}]",
		"contexts: [{name: prod, context: {user: a, user: b}}]",
		"contexts: [{name: prod, context: {}}]\n---\nnotes: [unclosed\n",
	} {
		if _, err := Set([]byte(garbage), Entry{User: "x", Context: "prod", Command: "cspctl", Profile: "prod"}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", garbage, err)
		}
	}
	if after, err := Set([]byte("users: []\ncontexts: [{name: \"yes\", context: {cluster: c}}]"), Entry{User: "12", Context: "yes", Command: "cspctl", Profile: "prod"}); err != nil || !strings.Contains(string(after), `"12"`) {
		t.Errorf("%v\n%s", err, after)
	}
}

// kubectl's parser is of YAML 1.1, which has more that is no text than 1.2.
func TestNamesAreTextsForKubectl(t *testing.T) {
	for _, name := range []string{"no", "On", "y", "NULL", "12", "1e3", "0o17", "12:30", "1_000", "~", ".inf", "a: b", "a #b", "", "C:\\x.exe", "\n"} {
		after, err := Set([]byte(before), Entry{User: "csp", Context: "prod", Command: "cspctl", Profile: name})
		if err != nil || !strings.Contains(string(after), "- "+strconv.Quote(name)+"\n") {
			t.Errorf("%q: %v\n%s", name, err, after)
		}
	}
}

// What people wrote stays in the form in which they wrote it.
func TestSetKeepsTheForm(t *testing.T) {
	e := Entry{User: "csp", Context: "prod", Command: "cspctl", Profile: "prod"}
	t.Run("JSON", func(t *testing.T) {
		after, err := Set([]byte(`{"kind": "Config", "contexts": [{"name": "prod", "context": {"cluster": "no", "namespace": "<12>"}}], "users": null}`), e)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(after, &got); err != nil {
			t.Fatalf("%v\n%s", err, after)
		}
		for _, want := range []string{`"cluster": "no"`, `"namespace": "<12>"`, `"user": "csp"`, "\n  \"kind\""} {
			if !strings.Contains(string(after), want) {
				t.Errorf("%s is missing:\n%s", want, after)
			}
		}
	})
	t.Run("line ends of Windows", func(t *testing.T) {
		after, err := Set([]byte(strings.ReplaceAll(before, "\n", "\r\n")), e)
		if err != nil {
			t.Fatal(err)
		}
		lf, err := Set([]byte(before), e)
		if err != nil || strings.ReplaceAll(string(lf), "\n", "\r\n") != string(after) {
			t.Errorf("%v\n%q", err, after)
		}
	})
}

// What people added to our entry stays.
func TestSetKeepsWhatWasAdded(t *testing.T) {
	e := Entry{User: "csp", Context: "prod", Command: "cspctl", Profile: "prod"}
	after, err := Set([]byte(`contexts: [{name: prod, context: {cluster: a, user: csp}}]
users:
- name: csp
  user:
    exec:
      command: /old/cspctl
      args: [token, lab, -o, exec-credential]
      installHint: ask Jo
      env:
      - name: CSP_AGENT_SOCK # of the jump host
        value: /run/jump.sock
      provideClusterInfo: true
    as: deputy
`), e)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"command: cspctl\n", "- prod\n", "installHint: ask Jo\n", "# of the jump host\n", "provideClusterInfo: true\n", "as: deputy\n", "interactiveMode: IfAvailable\n"} {
		if !strings.Contains(string(after), want) {
			t.Errorf("%q is missing:\n%s", want, after)
		}
	}
}

// An alias stands for what is written elsewhere: to change it there would change
// another entry.
func TestSetRefusesToChangeAnythingElse(t *testing.T) {
	e := Entry{User: "csp", Context: "prod", Command: "cspctl", Profile: "prod"}
	for name, file := range map[string]string{
		"a context that another shares": "contexts: [{name: other, context: &c {cluster: a}}, {name: prod, context: *c}]",
		"users that another key shares": "x: &u [{name: jo}]\nusers: *u\ncontexts: [{name: prod, context: {cluster: a}}]",
	} {
		if after, err := Set([]byte(file), e); err == nil {
			t.Errorf("%s: it became\n%s", name, after)
		}
	}
	// kubectl refuses such a file: k8s.io/client-go/tools/clientcmd/api/v1, conversion.go.
	after, err := Set([]byte("contexts: [{name: prod, context: {cluster: a}}, {name: prod, context: {cluster: b}}]"), e)
	if err == nil {
		t.Errorf("two contexts have one name: %s", after)
	}
}

func FuzzSet(f *testing.F) {
	f.Add(before)
	f.Add("contexts: [{name: prod, context: {}}]\nusers: &u []\nx: *u")
	f.Fuzz(func(t *testing.T, file string) {
		e := Entry{User: "csp", Context: "prod", Command: "cspctl", Profile: "prod"}
		after, err := Set([]byte(file), e)
		if err != nil {
			return
		}
		if again, err := Set(after, e); err != nil || string(again) != string(after) {
			t.Errorf("%v\n%q became %q and %q", err, file, after, again)
		}
	})
}
