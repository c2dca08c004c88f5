package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// program is one of those whose start is timed.
type program struct {
	name  string
	argv  []string
	env   []string
	times []time.Duration
}

// reference programs: what a start costs at the least, and what the two usual
// ways to a socket add.
var references = map[string]string{
	"empty Go program": `package main
func main() {}
`,
	"net client, nothing else": `package main
import ("net"; "os")
func main() {
	c, err := net.Dial("unix", os.Args[1])
	if err != nil { os.Exit(1) }
	c.Write([]byte("GET /v1/token?profile=prod HTTP/1.1\r\nHost: agent\r\nAccept: text/plain\r\n\r\n"))
	b := make([]byte, 65536)
	n, _ := c.Read(b)
	os.Stdout.Write(b[:n])
}
`,
	"raw-syscall client, nothing else": `package main
import ("os"; "syscall")
func main() {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil || syscall.Connect(fd, &syscall.SockaddrUnix{Name: os.Args[1]}) != nil { os.Exit(1) }
	syscall.Write(fd, []byte("GET /v1/token?profile=prod HTTP/1.1\r\nHost: agent\r\nAccept: text/plain\r\n\r\n"))
	b := make([]byte, 65536)
	n, _ := syscall.Read(fd, b)
	os.Stdout.Write(b[:n])
}
`,
}

// starts times whole processes, one start of each in turn.
func starts(w *world, rounds int) error {
	var programs []*program
	for _, name := range []string{"empty Go program", "raw-syscall client, nothing else", "net client, nothing else"} {
		exe, err := build(w, name, references[name])
		if err != nil {
			return err
		}
		programs = append(programs, &program{name: name, argv: []string{exe, w.socket}, env: w.env})
	}
	cspctl := filepath.Join(w.bin, "cspctl")
	file := filepath.Join(filepath.Dir(w.socket), "tokens", "prod")
	if err := w.run(nil, "cspctl", "sink", "add", "prod"); err != nil {
		return err
	}
	for _, p := range [][]string{
		{"cspctl token", cspctl, "token"},
		{"cspctl token prod -o header", cspctl, "token", "prod", "-o", "header"},
		{"sh: read -r T <file of a sink", "/bin/sh", "-c", `read -r T <"$0"`, file},
		{"true", "/bin/true"},
		{"cspctl exec -- true", cspctl, "exec", "--", "/bin/true"},
		{"the same with a stand-in", cspctl, "exec", "--for", "terraform-vmc", "--", "/bin/true"},
		{"the same with a stand-in, https", cspctl, "exec", "--for", "terraform-nsxt", "--", "/bin/true"},
	} {
		programs = append(programs, &program{name: p[0], argv: p[1:], env: w.env})
	}
	programs = append(programs, peers(w)...)

	for i := range rounds + 10 {
		for _, p := range programs {
			c := &exec.Cmd{Path: p.argv[0], Args: p.argv, Env: p.env}
			began := time.Now()
			err := c.Run()
			took := time.Since(began)
			if err != nil && c.ProcessState == nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if i >= 10 { // the first are for the page cache
				p.times = append(p.times, took)
			}
		}
	}
	fmt.Printf("\nStart to end of a process, %d of each in turn\n\n", rounds)
	fmt.Printf("  %-36s %9s %9s   %s\n", "", "median", "p95", "ratio to empty")
	empty := quantile(programs[0].times, 0.5)
	for _, p := range programs {
		m := quantile(p.times, 0.5)
		fmt.Printf("  %-36s %9s %9s   %.2f\n", p.name, m.Round(10*time.Microsecond), quantile(p.times, 0.95).Round(10*time.Microsecond), float64(m)/float64(empty))
	}
	info, err := os.Stat(cspctl)
	if err != nil {
		return err
	}
	fmt.Printf("\n  cspctl is %.2f MB\n", float64(info.Size())/1e6)
	return nil
}

func build(w *world, name, source string) (string, error) {
	dir := filepath.Join(w.home, strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", ""))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(dir+"/main.go", []byte(source), 0o600); err != nil {
		return "", err
	}
	c := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/program", dir+"/main.go")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir + "/program", nil
}

func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	if len(d) == 0 {
		return 0
	}
	return d[min(len(d)-1, int(q*float64(len(d))))]
}
