package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// products are the commands that are published. The simulator is not.
var products = []string{"cspctl", "csp-agent"}

// platform is a pair of GOOS and GOARCH.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

func parsePlatform(s string) (platform, error) {
	goos, arch, ok := strings.Cut(s, "/")
	if !ok || !strings.Contains(","+allPlatforms+",", ","+s+",") {
		return platform{}, fmt.Errorf("%q is none of the platforms: %s", s, allPlatforms)
	}
	return platform{goos, arch}, nil
}

// program is the name of a command's file.
func (p platform) program(name string) string {
	if p.os == "windows" {
		return name + ".exe"
	}
	return name
}

func hostPlatform(ctx context.Context) (platform, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOHOSTOS", "GOHOSTARCH").Output()
	if err != nil {
		return platform{}, err
	}
	f := strings.Fields(string(out))
	if len(f) != 2 {
		return platform{}, fmt.Errorf("go env says %q", out)
	}
	return platform{f[0], f[1]}, nil
}

// environ is the environment for go: nothing of the person's settings, nor of
// the machine, gets into what is built.
func (p platform) environ() []string {
	return append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off",
		"GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off")
}

// build builds the commands for a platform and returns their folder. What is
// built already is not built again.
func (r *release) build(ctx context.Context, p platform) (string, error) {
	dir := filepath.Join(r.work, p.os+"_"+p.arch)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	args := []string{"build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X github.com/cspctl/cspctl/internal/ipc.Version=" + r.version.raw, "-o", dir + "/"}
	for _, name := range products {
		args = append(args, "./cmd/"+name)
	}
	c := exec.CommandContext(ctx, "go", args...)
	c.Env, c.Stderr = p.environ(), os.Stderr
	return dir, c.Run()
}

// completions asks cspctl for its completion scripts.
func completions(ctx context.Context, bin string, host platform) (map[string][]byte, error) {
	scripts := map[string][]byte{}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		text, err := output(ctx, filepath.Join(bin, host.program("cspctl")), "completion", shell)
		if err != nil {
			return nil, err
		}
		scripts[shell] = []byte(text)
	}
	return scripts, nil
}

// output runs a command that was just built.
func output(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
