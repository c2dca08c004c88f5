package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	homepage    = "https://github.com/cspctl/cspctl"
	description = "Valid VMware Cloud Services access tokens in every shell"
)

// url is where a file of the release is, once it is published.
func (r *release) url(name string) string {
	return homepage + "/releases/download/" + r.version.raw + "/" + strings.ReplaceAll(name, "+", "%2B")
}

// manifests writes the Homebrew formula and the Scoop manifest.
func (r *release) manifests() error {
	if err := r.write("cspctl.rb", []byte(r.formula())); err != nil {
		return err
	}
	scoop, err := r.scoop()
	if err != nil {
		return err
	}
	return r.write("cspctl.json", scoop)
}

// formula is for Homebrew on macOS and Linux (https://docs.brew.sh/Formula-Cookbook).
// The agent is no service of brew's: cspctl starts it.
func (r *release) formula() string {
	var b strings.Builder
	fmt.Fprintf(&b, "class Cspctl < Formula\n  desc %q\n  homepage %q\n  version %q\n  license \"Apache-2.0\"\n", description, homepage, r.version.plain)
	for _, system := range []struct{ on, goos string }{{"on_macos", "darwin"}, {"on_linux", "linux"}} {
		fmt.Fprintf(&b, "\n  %s do\n", system.on)
		for _, cpu := range []struct{ on, arch string }{{"on_arm", "arm64"}, {"on_intel", "amd64"}} {
			name := r.name(platform{system.goos, cpu.arch}) + ".tar.gz"
			fmt.Fprintf(&b, "    %s do\n      url %q\n      sha256 %q\n    end\n", cpu.on, r.url(name), r.hashes[name])
		}
		b.WriteString("  end\n")
	}
	fmt.Fprintf(&b, `
  def install
    bin.install "cspctl", "csp-agent"
    man1.install Dir["man/*.1"]
    man5.install Dir["man/*.5"]
    man8.install Dir["man/*.8"]
    bash_completion.install "completions/cspctl.bash" => "cspctl"
    zsh_completion.install "completions/_cspctl"
    fish_completion.install "completions/cspctl.fish"
  end

  test do
    assert_match %q, shell_output("#{bin}/csp-agent version")
  end
end
`, r.version.raw)
	return b.String()
}

// scoop is for Scoop on Windows
// (https://github.com/ScoopInstaller/Scoop/wiki/App-Manifests).
func (r *release) scoop() ([]byte, error) {
	type download struct {
		URL        string `json:"url"`
		Hash       string `json:"hash,omitempty"`
		ExtractDir string `json:"extract_dir"`
	}
	type manifest struct {
		Version      string              `json:"version"`
		Description  string              `json:"description"`
		Homepage     string              `json:"homepage"`
		License      string              `json:"license"`
		Architecture map[string]download `json:"architecture"`
		Bin          []string            `json:"bin"`
		Notes        []string            `json:"notes"`
		Checkver     string              `json:"checkver"`
		Autoupdate   struct {
			Architecture map[string]download `json:"architecture"`
		} `json:"autoupdate"`
	}
	m := manifest{
		Version: r.version.plain, Description: description, Homepage: homepage, License: "Apache-2.0",
		Architecture: map[string]download{}, Checkver: "github",
		Notes: []string{"Completion in PowerShell: add to $PROFILE: cspctl completion powershell | Out-String | Invoke-Expression"},
	}
	m.Autoupdate.Architecture = map[string]download{}
	for cpu, arch := range map[string]string{"64bit": "amd64", "arm64": "arm64"} {
		top := r.name(platform{"windows", arch})
		m.Architecture[cpu] = download{r.url(top + ".zip"), r.hashes[top+".zip"], top}
		next := "cspctl_$version_windows_" + arch
		m.Autoupdate.Architecture[cpu] = download{homepage + "/releases/download/v$version/" + next + ".zip", "", next}
	}
	for _, name := range products {
		m.Bin = append(m.Bin, name+".exe")
	}
	b, err := json.MarshalIndent(m, "", "    ")
	return append(b, '\n'), err
}
