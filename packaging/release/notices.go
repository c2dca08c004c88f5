package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|copyright)([.-].*)?$`)

// notices collects the licences of the Go distribution and of all modules that
// are linked on any system: most of them ask for their text to go along. Texts
// that several share are there once; the Apache License, which is the product's
// own, is in LICENSE.
func notices(ctx context.Context) ([]byte, error) {
	dirs, err := moduleFolders(ctx)
	if err != nil {
		return nil, err
	}
	apache, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	own := apacheTerms(string(apache))
	var order []string // of the texts
	users := map[string][]string{}
	for _, d := range dirs {
		texts, err := licences(d.dir)
		if err != nil {
			return nil, err
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("no licence of %s is in %s", d.name, d.dir)
		}
		for _, whole := range texts {
			text := whole
			if apacheTerms(text) == own {
				text = "Apache License, Version 2.0: see LICENSE.\n"
				if line := strings.TrimSpace(copyrightLine.FindString(whole)); line != "" {
					text = line + "\n" + text
				}
			}
			if users[text] == nil {
				order = append(order, text)
			}
			users[text] = append(users[text], d.name)
		}
	}
	var b strings.Builder
	b.WriteString("The commands contain these Go modules, each under its own licence.\n")
	for _, text := range order {
		b.WriteString("\n" + strings.Repeat("-", 72) + "\n" + strings.Join(users[text], "\n") + "\n\n" + text)
	}
	return []byte(b.String()), nil
}

var copyrightLine = regexp.MustCompile(`(?m)^\s*Copyright (?:\(c\) )?\d.*$`)

// apacheTerms are the terms of the Apache License in text, without what the
// copies differ in: spacing, capitals, letters of items, the scheme of URLs. Empty: it is another.
func apacheTerms(text string) string {
	_, terms, ok := strings.Cut(text, "1. Definitions")
	terms, _, end := strings.Cut(terms, "9. Accepting Warranty")
	if !ok || !end {
		return ""
	}
	for _, item := range []string{"(a)", "(b)", "(c)", "(d)"} {
		terms = strings.ReplaceAll(terms, item, "")
	}
	return strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(terms, "https:", "http:")), " "))
}

// licences returns the texts in a module's folder.
func licences(dir string) (texts []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " \t\f")
		}
		texts = append(texts, strings.Trim(strings.Join(lines, "\n"), "\n")+"\n")
	}
	return texts, nil
}

type moduleFolder struct{ name, dir string }

// moduleFolders are those of everything that is linked on any system, in order.
func moduleFolders(ctx context.Context) ([]moduleFolder, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	list := []moduleFolder{{"Go", strings.TrimSpace(string(root))}}
	seen := map[string]string{}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		args := []string{"list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}"}
		for _, name := range products {
			args = append(args, "./cmd/"+name)
		}
		c := exec.CommandContext(ctx, "go", args...)
		c.Env, c.Stderr = platform{goos, "amd64"}.environ(), os.Stderr
		out, err := c.Output()
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(out)) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				seen[name] = dir
			}
		}
	}
	var modules []moduleFolder
	for name, dir := range seen {
		modules = append(modules, moduleFolder{name, dir})
	}
	slices.SortFunc(modules, func(a, b moduleFolder) int { return strings.Compare(a.name, b.name) })
	return append(list, modules...), nil
}
