//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// recorder is a program that writes down what it was started with, and then does
// as told.
func recorder(t *testing.T, dir, name, then string) (record string) {
	t.Helper()
	record = filepath.Join(dir, name+".record")
	script := `#!/bin/sh
exec 3>RECORD.new
for a; do echo "arg $a" >&3; done
for n in 0 1 2; do echo "$n $(readlink /proc/$$/fd/$n)" >&3; done
pwd >&3
exec 3>&-
mv RECORD.new RECORD
` + then + "\n"
	script = strings.ReplaceAll(script, "RECORD", record)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return record
}

func TestOpenStartsTheBrowser(t *testing.T) {
	for name, c := range map[string]struct {
		programs map[string]string // name: what it does
		env      map[string]string
		used     string // "": none
		args     string
		code     int
		want     string
	}{
		"xdg-open":          {map[string]string{"xdg-open": ""}, map[string]string{"DISPLAY": ":0"}, "xdg-open", "arg " + aPage + "\n", 0, "cspctl: opening " + aPage},
		"wayland":           {map[string]string{"xdg-open": ""}, map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, "xdg-open", "arg " + aPage + "\n", 0, "opening"},
		"no display":        {map[string]string{"xdg-open": ""}, nil, "", "", 1, "hint: open it by hand: " + aPage},
		"nothing there":     {nil, map[string]string{"DISPLAY": ":0"}, "", "", 1, "neither xdg-open nor $BROWSER"},
		"it fails":          {map[string]string{"xdg-open": "exit 3"}, map[string]string{"DISPLAY": ":0"}, "xdg-open", "arg " + aPage + "\n", 1, "xdg-open ended with exit status 3\ncspctl: hint: open it by hand: " + aPage},
		"BROWSER":           {map[string]string{"fox": ""}, map[string]string{"DISPLAY": ":0", "BROWSER": "none:fox --new %s:other"}, "fox", "arg --new\narg " + aPage + "\n", 0, "opening"},
		"BROWSER, no %s":    {map[string]string{"fox": ""}, map[string]string{"BROWSER": "fox"}, "fox", "arg " + aPage + "\n", 0, "opening"},
		"xdg-open is first": {map[string]string{"fox": "", "xdg-open": ""}, map[string]string{"DISPLAY": ":0", "BROWSER": "fox"}, "xdg-open", "arg " + aPage + "\n", 0, "opening"},
		"BROWSER relative":  {nil, map[string]string{"BROWSER": "./fox"}, "", "", 1, "no display"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			records := map[string]string{}
			for s, then := range c.programs {
				records[s] = recorder(t, dir, s, then)
			}
			env := map[string]string{"PATH": "relative:" + dir}
			for k, v := range c.env {
				env[k] = v
			}
			r := shell{agent: openable(t, aPage), env: env}.run(t, "open")
			r.want(t, c.code, c.want)
			if r.stdout != "" {
				t.Errorf("stdout is %q", r.stdout)
			}
			for s, record := range records {
				got, err := os.ReadFile(record)
				if s != c.used {
					if err == nil {
						t.Errorf("%s was started: %s", s, got)
					}
					continue
				}
				if want := c.args + "0 /dev/null\n1 /dev/null\n2 /dev/null\n/\n"; string(got) != want {
					t.Errorf("%s got\n%s, want\n%s (%v)", s, got, want, err)
				}
			}
		})
	}
}

// A browser that stays in the foreground is not waited for, also by whoever
// reads what cspctl prints.
func TestOpenDoesNotWaitForTheBrowser(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	record := recorder(t, dir, "xdg-open", "echo $$ >"+pid+"; exec sleep 60")
	cmd, errs := process(t, openable(t, aPage), "cspctl", "open")
	cmd.Env = append(cmd.Env, "DISPLAY=:0", "PATH="+dir+":"+os.Getenv("PATH"))
	begin := time.Now()
	out, err := cmd.Output() // to the end of both streams
	took := time.Since(begin)
	b, _ := os.ReadFile(pid)
	if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
		defer func() { _ = syscall.Kill(n, syscall.SIGKILL) }()
	} else {
		t.Error("there is no browser to wait for")
	}
	if err != nil || len(out) > 0 || errs.String() != "cspctl: opening "+aPage+"\n" || took > 20*time.Second {
		t.Errorf("after %v: %q, %q, %v", took, out, errs, err)
	}
	if _, err := os.Stat(record); err != nil {
		t.Error("it was not started")
	}
}
