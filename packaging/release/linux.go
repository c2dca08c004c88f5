package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// packed is a file of a package, from text or from a file of this machine; a
// folder or a symlink, by its mode.
type packed struct {
	to   string
	mode fs.FileMode
	data []byte
	from string // where data is nil; of a symlink its target
}

// linuxPackage makes a Debian or RPM package. packaging/nfpm.yaml says what it
// is, layout what is in it.
func (r *release) linuxPackage(ctx context.Context, packager string, p platform, bin string) error {
	files, err := r.layout(packager, bin)
	if err != nil {
		return err
	}
	stage := filepath.Join(r.work, packager+"_"+p.arch)
	if err := os.Mkdir(stage, 0o755); err != nil {
		return err
	}
	config, err := os.ReadFile("packaging/nfpm.yaml")
	if err != nil {
		return err
	}
	contents, err := contents(packager, stage, files)
	if err != nil {
		return err
	}
	configPath := filepath.Join(stage, "nfpm.yaml")
	if err := os.WriteFile(configPath, append(config, contents...), 0o644); err != nil {
		return err
	}
	name := r.name(p) + "." + packager
	target := filepath.Join(stage, name)
	c := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/nfpm/go.mod", "nfpm", "package", "-f", configPath, "-p", packager, "-t", target)
	c.Env = append(os.Environ(), "GOFLAGS=", "ARCH="+p.arch, "PACKAGE_VERSION="+r.version.linux,
		fmt.Sprint("SOURCE_DATE_EPOCH=", r.time.Unix()))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("nfpm: %w: %s", err, out)
	}
	b, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	return r.write(name, b)
}

// contents stages the files, and lists them as nfpm reads it. YAML takes JSON.
func contents(packager, stage string, files []packed) (string, error) {
	var b strings.Builder
	b.WriteString("\ncontents:\n")
	for i, f := range files {
		item := map[string]any{"dst": f.to, "file_info": map[string]any{"mode": f.mode, "owner": "root", "group": "root"}}
		if packager == "rpm" && strings.HasPrefix(f.to, "/usr/share/licenses/") {
			item["type"] = "license"
		} else if packager == "rpm" && (strings.HasPrefix(f.to, docs) || strings.HasPrefix(f.to, "/usr/share/man/")) {
			item["type"] = "doc"
		}
		switch {
		case f.mode.IsDir():
			item["type"], item["file_info"] = "dir", map[string]any{"mode": f.mode.Perm()}
		case f.mode&fs.ModeSymlink != 0:
			item["type"], item["src"], item["file_info"] = "symlink", f.from, map[string]any{}
		case f.data != nil:
			f.from = filepath.Join(stage, fmt.Sprint(i))
			if err := os.WriteFile(f.from, f.data, 0o644); err != nil {
				return "", err
			}
			fallthrough
		default:
			item["src"] = f.from
		}
		line, err := json.Marshal(item)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  - %s\n", line)
	}
	return b.String(), nil
}

const (
	docs   = "/usr/share/doc/cspctl/"
	shared = "/usr/share/cspctl/"
)

// layout says which file goes where.
func (r *release) layout(packager, bin string) ([]packed, error) {
	completions := map[string]string{
		"bash": "/usr/share/bash-completion/completions/cspctl",
		"fish": "/usr/share/fish/vendor_completions.d/cspctl.fish",
		"zsh":  "/usr/share/zsh/site-functions/_cspctl",
	}
	var files []packed
	if packager == "deb" {
		completions["zsh"] = "/usr/share/zsh/vendor-completions/_cspctl"
		changelog, err := r.debianChangelog()
		if err != nil {
			return nil, err
		}
		files = append(files,
			packed{to: docs + "copyright", mode: 0o644, data: []byte(debianCopyright + strings.ReplaceAll(string(r.notices), "see LICENSE", "see /usr/share/common-licenses/Apache-2.0"))},
			packed{to: docs + "changelog.gz", mode: 0o644, data: changelog},
			packed{to: "/usr/share/lintian/overrides/cspctl", mode: 0o644, from: "packaging/lintian-overrides"})
	} else {
		files = append(files,
			packed{to: "/usr/share/licenses/cspctl", mode: fs.ModeDir | 0o755},
			packed{to: "/usr/share/licenses/cspctl/LICENSE", mode: 0o644, from: "LICENSE"},
			packed{to: "/usr/share/licenses/cspctl/THIRD-PARTY-NOTICES", mode: 0o644, data: r.notices},
			packed{to: docs, mode: fs.ModeDir | 0o755},
			packed{to: docs + "examples", mode: fs.ModeDir | 0o755},
			packed{to: shared, mode: fs.ModeDir | 0o755},
			packed{to: shared + "powershell", mode: fs.ModeDir | 0o755},
			packed{to: shared + "powershell/CspCtl", mode: fs.ModeDir | 0o755},
			packed{to: docs + "CHANGELOG.md", mode: 0o644, from: "CHANGELOG.md"})
	}
	for _, name := range products {
		files = append(files, packed{to: "/usr/bin/" + name, mode: 0o755, from: filepath.Join(bin, name)})
	}
	// By this name csp-agent is a generator: it adds a user's sandbox where that works.
	files = append(files, packed{to: "/usr/lib/systemd/user-generators/csp-agent-sandbox", mode: fs.ModeSymlink, from: "../../../bin/csp-agent"})
	for shell, to := range completions {
		files = append(files, packed{to: to, mode: 0o644, data: r.scripts[shell]})
	}
	for name, page := range r.manual {
		z, err := compressed(page)
		if err != nil {
			return nil, err
		}
		files = append(files, packed{to: "/usr/share/man/man" + path.Ext(name)[1:] + "/" + name + ".gz", mode: 0o644, data: z})
	}
	for _, rule := range []struct {
		from, to string
		mode     fs.FileMode
	}{
		{"README.md", docs, 0o644},
		{"docs/monitoring.md", docs, 0o644},
		{"docs/protocol.md", docs, 0o644},
		{"packaging/systemd/user/csp-agent*", "/usr/lib/systemd/user/", 0o644},
		{"packaging/systemd/system/csp-agent*", "/usr/lib/systemd/system/", 0o644},
		{"packaging/systemd/sysusers.d/*.conf", "/usr/lib/sysusers.d/", 0o644},
		{"docs/service.md", docs, 0o644},
		{"docs/clients.md", docs, 0o644},
		{"docs/remote.md", docs, 0o644},
		{powerShell + "*", shared + "powershell/CspCtl/", 0o644},
		// Each needs a decision of the person's, and is no part of what runs.
		{"packaging/systemd/user/csp-expiry-*", docs + "examples/", 0o644},
		{"packaging/prometheus/*.rules.yml", docs + "examples/", 0o644},
		{"packaging/grafana/*.json", docs + "examples/", 0o644},
		{"packaging/examples/*.sh", docs + "examples/", 0o644},
	} {
		names, err := filepath.Glob(rule.from)
		if err != nil {
			return nil, err
		}
		for _, from := range names {
			files = append(files, packed{to: rule.to + filepath.Base(from), mode: rule.mode, from: from})
		}
	}
	return files, nil
}
