package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// peers returns the programs of others that are installed, each with an agent
// of its own that has been warmed up.
func peers(w *world) []*program {
	var found []*program
	for _, f := range []func(*world) (*program, error){gitCredentialCache, sshAdd, oidcToken} {
		p, err := f(w)
		if err != nil {
			fmt.Println("  not measured:", err)
			continue
		}
		found = append(found, p)
	}
	return found
}

func gitCredentialCache(w *world) (*program, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(git, "--exec-path").Output()
	if err != nil {
		return nil, err
	}
	helper := filepath.Join(strings.TrimSpace(string(out)), "git-credential-cache")
	socket := filepath.Join(w.home, "git", "socket")
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = w.run(nil, helper, "--socket", socket, "exit") })
	if err := w.run(strings.NewReader("protocol=https\nhost=example.com\nusername=u\npassword=x\n"), helper, "--socket", socket, "store"); err != nil {
		return nil, err
	}
	query := filepath.Join(w.home, "git", "query")
	if err := os.WriteFile(query, []byte("protocol=https\nhost=example.com\n"), 0o600); err != nil {
		return nil, err
	}
	// A shell would be timed along; the helper reads end of file and asks for
	// nothing, but goes the whole way to its daemon.
	return &program{name: "git credential-cache get", argv: []string{helper, "--socket", socket, "get"}, env: w.env}, nil
}

func sshAdd(w *world) (*program, error) {
	add, err := exec.LookPath("ssh-add")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(w.home, "ssh.sock")
	if _, err := w.start("ssh-agent", "-D", "-a", socket); err != nil {
		return nil, err
	}
	if err := until(func() bool { return fileExists(socket) }); err != nil {
		return nil, err
	}
	env := append([]string{"SSH_AUTH_SOCK=" + socket}, w.env...)
	return &program{name: "ssh-add -l (no keys)", argv: []string{add, "-l"}, env: env}, nil
}

// oidcToken asks a real oidc-agent for an account that it does not have: a
// token would need an identity provider, the way to the agent does not.
func oidcToken(w *world) (*program, error) {
	token, err := exec.LookPath("oidc-token")
	if err != nil {
		return nil, err
	}
	c := exec.Command("oidc-agent")
	c.Env = w.env
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("oidc-agent: %w", err)
	}
	env := w.env
	for _, name := range []string{"OIDC_SOCK", "OIDCD_PID"} {
		m := regexp.MustCompile(name + `=([^;]+);`).FindSubmatch(out)
		if m == nil {
			return nil, fmt.Errorf("oidc-agent did not say its %s", name)
		}
		env = append([]string{name + "=" + string(m[1])}, env...)
		if name == "OIDCD_PID" {
			w.closers = append(w.closers, func() { _ = exec.Command("kill", string(m[1])).Run() })
		}
	}
	return &program{name: "oidc-token (no such account)", argv: []string{token, "--seccomp", "nosuch"}, env: env}, nil
}
