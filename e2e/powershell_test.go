//go:build unix

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where PowerShell is not at hand, at least: what the manifest exports is there,
// brackets are closed, and nothing takes an API token along.
func TestPowerShellModule(t *testing.T) {
	const folder = "../packaging/powershell/CspCtl/"
	manifest, err := os.ReadFile(folder + "CspCtl.psd1")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(folder + "CspCtl.psm1")
	if err != nil {
		t.Fatal(err)
	}
	exported := regexp.MustCompile(`FunctionsToExport += @\((.*)\)`).FindSubmatch(manifest)
	if exported == nil {
		t.Fatal("nothing is exported")
	}
	for _, name := range []string{"Get-CSPAccessToken", "Get-CSPRefreshTokenExpiry"} {
		if !strings.Contains(string(exported[1]), "'"+name+"'") || !strings.Contains(string(module), "function "+name+" {") {
			t.Errorf("%s is not exported, or not there", name)
		}
	}
	for name, text := range map[string]string{"psd1": string(manifest), "psm1": string(module)} {
		for i, r := range []byte(text) {
			if r > 126 { // Windows PowerShell takes a file without a BOM for ANSI
				t.Errorf("%s, byte %d: not ASCII", name, i)
			}
		}
		text = regexp.MustCompile(`(?s)<#.*?#>`).ReplaceAllString(text, "")
		text = regexp.MustCompile(`(?m)(^|\s)#.*$`).ReplaceAllString(text, "")
		text = regexp.MustCompile("'[^']*'").ReplaceAllString(text, "")
		text = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(text, "")
		var open []rune
		for _, r := range text {
			switch r {
			case '(', '{', '[':
				open = append(open, r)
			case ')', '}', ']':
				if len(open) == 0 || open[len(open)-1] != map[rune]rune{')': '(', '}': '{', ']': '['}[r] {
					t.Fatalf("%s: a %c too many", name, r)
				}
				open = open[:len(open)-1]
			case '\'', '"':
				t.Errorf("%s: a quotation is not closed", name)
			}
		}
		if len(open) != 0 {
			t.Errorf("%s: %d brackets are not closed", name, len(open))
		}
	}
	if uses := strings.Count(string(module), "$RefreshToken"); uses != 2 { // the two parameters
		t.Errorf("the API token is used %d times", uses)
	}
}

// In PowerShell: what the functions set and return, and what old scripts are
// told.
func TestPowerShellFunctions(t *testing.T) {
	if _, err := exec.LookPath("pwsh"); err != nil {
		t.Skip("needs pwsh (PowerShell 7)")
	}
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	module, err := filepath.Abs("../packaging/powershell/CspCtl")
	if err != nil {
		t.Fatal(err)
	}
	pwsh := func(script string) (string, error) {
		c := exec.CommandContext(t.Context(), "pwsh", "-NoProfile", "-NonInteractive", "-Command", "$ErrorActionPreference='Stop'; Import-Module '"+module+"'; "+script)
		c.Env, c.Dir = w.env, w.dir
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for script, want := range map[string]string{
		"Get-CSPAccessToken -Profile prod; $env:cspAuthToken.Split('.').Length":                            "3",
		"Get-CSPAccessToken -MinTTL 10m; $global:cspConnection.headers['csp-auth-token'].Split('.').Count": "3",
		"(Get-CSPRefreshTokenExpiry -Profile prod).ExpiryDate -gt (Get-Date).AddDays(100)":                 "True",
	} {
		if out, err := pwsh(script); err != nil || !strings.HasSuffix(strings.TrimSpace(out), want) || strings.Contains(out, "eyJ") {
			t.Errorf("%s: %v: %s", script, err, out)
		}
	}
	for _, script := range []string{"Get-CSPAccessToken -RefreshToken abcdefabcdef", "Get-CSPAccessToken abcdefabcdef", "Get-CSPRefreshTokenExpiry -RefreshToken abcdefabcdef", "Get-CSPAccessToken -Profile nobody"} {
		out, err := pwsh("try { " + script + " } catch { $_.Exception.Message; exit 9 }")
		if err == nil || strings.Contains(out, "abcdef") || !strings.Contains(out, "cspctl") {
			t.Errorf("%s: %v: %s", script, err, out)
		}
	}
}
