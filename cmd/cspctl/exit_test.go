package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/client"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

func secretText(s string) secret.Text { return secret.New(s) }

var exitCodes = map[ipc.Code]int{
	ipc.CodeBadRequest: 2, ipc.CodeBadProfileName: 2, ipc.CodeProfileExists: 2, ipc.CodeOrgDiffers: 2,
	ipc.CodeNoSuchProfile: 3, ipc.CodeNotLoggedIn: 3,
	ipc.CodeRefused: 4, ipc.CodePasscodeNeeded: 4, ipc.CodeRefusedForNow: 4,
	ipc.CodeUnreachable: 5, ipc.CodeWrongServer: 5,
	ipc.CodeAgent: 6, ipc.CodeBusy: 6, ipc.CodeNotAllowed: 6,
	ipc.CodeMinTTL: 7,
	ipc.CodeLocked: 8, ipc.CodeRateLimited: 8, ipc.CodeStoreLocked: 8, ipc.CodeStoreAbsent: 8, ipc.CodePassphraseNotSet: 8,
	ipc.CodeState: 1, ipc.CodeConfigInvalid: 1, ipc.CodeNotFound: 1, ipc.CodeNoDetails: 1, ipc.CodeInternal: 1,
}

func TestExitCodeOfEveryAgentError(t *testing.T) {
	for code, want := range exitCodes {
		f := newAgent(t)
		f.refuse("GET /v1/token", code, "it went wrong", "do this")
		r := shell{agent: f}.run(t, "token")
		r.want(t, want)
		if r.stderr != "cspctl: error: it went wrong\ncspctl: hint: do this\n" {
			t.Errorf("%s: stderr is %q", code, r.stderr)
		}
	}
}

// Every code that the wire has must have been given a thought here.
func TestNoCodeIsForgotten(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/ipc/types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") || len(spec.Values) == 0 {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := exitCodes[ipc.Code(code)]; !ok {
			t.Errorf("the code %s has no exit code", code)
		}
		n++
		return true
	})
	if n < 15 {
		t.Errorf("found only %d codes", n)
	}
}

func TestExitCodeOfOtherErrors(t *testing.T) {
	wrapped := fmt.Errorf("x: %w", &ipc.Error{Code: ipc.CodeMinTTL})
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 0}, {errors.New("x"), 1}, {&ipc.Error{Code: "made_up"}, 1}, {wrapped, 7}} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// Programs that link the client package judge errors as scripts do.
func TestExitCodesOfTheClientPackage(t *testing.T) {
	for code, want := range exitCodes {
		if got := (&client.Error{Code: string(code)}).ExitCode(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestNoAgentIsExit6(t *testing.T) {
	for _, args := range [][]string{{"token"}, {"status"}, {"logout"}, {"profile", "list"}, {"profile", "use", "x"}, {"login"}} {
		shell{}.run(t, args...).want(t, 6, "cspctl: error: ", "cspctl: hint: ")
	}
}

func TestErrorsAreJSONWithJSONOutput(t *testing.T) {
	f := newAgent(t)
	f.refuse("GET /v1/token", ipc.CodeRefused, "the API token expired", "make a new one")
	for _, args := range [][]string{{"token", "-o", "json"}, {"token", "-o", "json", "--nonsense"}, {"token", "-ojson"}, {"token", "--o=json"}} {
		r := shell{agent: f}.run(t, args...)
		var e ipc.Error
		if err := json.Unmarshal([]byte(r.stderr), &e); err != nil || e.Code == "" || e.Message == "" || e.Hint == "" {
			t.Errorf("%q: %q, %v", args, r.stderr, err)
		}
		if exitCode(&e) != r.code {
			t.Errorf("%q: exit code %d for %s", args, r.code, e.Code)
		}
	}
}

func TestWarningsAreJSONWithJSONOutput(t *testing.T) {
	f := newAgent(t)
	f.says("0.0.1")
	f.token(nil)
	r := shell{agent: f}.run(t, "token", "-o", "json")
	r.want(t, 0)
	var w struct{ Warning, Hint string }
	if err := json.Unmarshal([]byte(r.stderr), &w); err != nil || w.Warning == "" || w.Hint == "" {
		t.Errorf("%q, %v", r.stderr, err)
	}
}

// What the agent says reaches a terminal: no control characters may.
func TestMessagesAreCleaned(t *testing.T) {
	f := newAgent(t)
	f.refuse("GET /v1/token", ipc.CodeRefused, "bad\x1b[2Jnews\r\nx", "")
	r := shell{agent: f}.run(t, "token")
	if strings.ContainsAny(r.stderr, "\x1b\r") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("stderr is %q", r.stderr)
	}
}

// T30: after an upgrade, the old agent runs on.
func TestT30AgentOfAnotherVersionIsSaidOnce(t *testing.T) {
	f := newAgent(t)
	f.says("0.0.1")
	f.profiles("prod")
	r := shell{agent: f}.run(t, "profile", "show")
	r.want(t, 0, "warning: the agent is version 0.0.1", "hint: replace it: csp-agent restart")
	if strings.Count(r.stderr, "warning") != 1 {
		t.Errorf("stderr is %q", r.stderr)
	}
}
