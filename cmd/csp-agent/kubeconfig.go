package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/kubeconfig"
	"github.com/cspctl/cspctl/internal/term"
)

const kubeconfigUsage = `Usage: csp-agent kubeconfig --context NAME --profile PROFILE [--user NAME] [--kubeconfig FILE] [--replace]

Has a context of kubectl's log in with access tokens of a profile. It is what
cspctl kubeconfig runs.
`

// maxKubeconfig bounds a kubeconfig, in bytes.
const maxKubeconfig = 8 << 20

// runKubeconfig edits the kubeconfig that has the context, and returns the exit
// code.
func runKubeconfig(args []string) int {
	var e kubeconfig.Entry
	var file, beside string
	flags := flag.NewFlagSet("kubeconfig", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&e.Context, "context", "", "")
	flags.StringVar(&e.Profile, "profile", "", "")
	flags.StringVar(&e.User, "user", "", "")
	flags.StringVar(&file, "kubeconfig", "", "")
	flags.StringVar(&beside, "cspctl", "", "") // the cspctl that asks
	flags.BoolVar(&e.Replace, "replace", false, "")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp: //nolint:errorlint // as package flag returns it
		fmt.Print(kubeconfigUsage)
		return 0
	case err != nil || flags.NArg() > 0 || e.Context == "" || e.Profile == "":
		fmt.Fprintln(os.Stderr, "csp-agent: error: wrong usage\ncsp-agent: hint: csp-agent kubeconfig --help")
		return 2
	}
	if e.User == "" {
		e.User = "csp-" + e.Profile
	}
	e.Command = commandName(beside)
	said := func(format string, args ...any) { // in a kubeconfig is what somebody else wrote
		fmt.Fprintln(os.Stderr, "cspctl: "+term.Clean(fmt.Sprintf(format, args...)))
	}
	path, changed, err := setKubeconfig(kubeconfigs(file), e)
	code, hint := 2, ""
	switch _, none := errors.AsType[*kubeconfig.NoContextError](err); {
	case err == nil && !changed:
		said("context %s of %s logs in with profile %s already", e.Context, path, e.Profile)
		return 0
	case err == nil:
		said("context %s of %s logs in with profile %s (user %s)", e.Context, path, e.Profile, e.User)
		return 0
	case none:
		hint = "make the context first: kubectl config set-context " + e.Context + " --cluster=..."
	case errors.Is(err, kubeconfig.ErrOther):
		err = fmt.Errorf("user %s of %s has another way to log in", e.User, path)
		hint = "give another name with --user, or --replace it"
	case errors.Is(err, fs.ErrExist):
		err = fmt.Errorf("another program is changing %s", path)
		code, hint = 1, "try again; if none does, remove "+path+".lock"
	case errors.Is(err, atomicfile.ErrOwner):
		code, hint = 1, "nothing was changed: run it as the owner of the file"
	case errors.Is(err, errNotWritten):
		code, hint = 1, "nothing was changed: make room, or make the file and its folder writable"
	case errors.Is(err, fs.ErrNotExist):
		hint = "name the file with --kubeconfig, or in KUBECONFIG"
	default:
		hint = "nothing was changed: correct the file, or name another with --kubeconfig"
	}
	said("error: %v", err)
	said("hint: %s", hint)
	return code
}

var errNotWritten = errors.New("it can't be written")

// setKubeconfig puts the entry into the first of the files that has its context.
func setKubeconfig(paths []string, e kubeconfig.Entry) (path string, changed bool, err error) {
	path, err = findKubeconfig(paths, e.Context)
	if err != nil {
		return path, false, err
	}
	unlock, err := lockKubeconfig(path)
	if errors.Is(err, fs.ErrExist) {
		return path, false, err
	}
	if err != nil {
		return path, false, fmt.Errorf("%w: %w", errNotWritten, err)
	}
	defer unlock()
	before, err := atomicfile.Read(path, maxKubeconfig) // as it is now
	if err != nil {
		return path, false, err
	}
	after, err := kubeconfig.Set(before, e)
	if err != nil {
		return path, false, fmt.Errorf("%s: %w", path, err)
	}
	if string(after) == string(before) {
		return path, false, nil
	}
	if err := atomicfile.Rewrite(path, after); err != nil {
		return path, false, fmt.Errorf("%w: %w", errNotWritten, err)
	}
	return path, true, nil
}

// commandName is how kubectl finds cspctl: by its name where that is the one on
// PATH, since files move at upgrades; else by its path.
func commandName(path string) string {
	if path == "" {
		return "cspctl"
	}
	a, errA := os.Stat(ipc.FindProgram(filepath.Base(path), os.Getenv))
	b, errB := os.Stat(path)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return "cspctl"
	}
	return path
}

// kubeconfigs are the files that kubectl reads, in its order:
// https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
func kubeconfigs(file string) (paths []string) {
	if file != "" {
		return []string{file}
	}
	for _, p := range filepath.SplitList(os.Getenv("KUBECONFIG")) {
		if p != "" {
			paths = append(paths, p)
		}
	}
	if len(paths) > 0 {
		return paths
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(home, ".kube", "config")}
}

// findKubeconfig returns the first of the files that has the context.
func findKubeconfig(paths []string, context string) (path string, err error) {
	err = fmt.Errorf("no kubeconfig is named: %w", fs.ErrNotExist)
	var have []string
	var unread error // of one that is there, and may have the context
	read := 0
	for _, p := range paths {
		b, bad := atomicfile.Read(p, maxKubeconfig)
		if bad != nil {
			if read == 0 {
				err = bad
			}
			if !errors.Is(bad, fs.ErrNotExist) && unread == nil {
				unread = bad
			}
			continue
		}
		read++
		bad = kubeconfig.Check(b, context)
		if none, ok := errors.AsType[*kubeconfig.NoContextError](bad); ok {
			have = append(have, none.Have...)
			err = &kubeconfig.NoContextError{Name: context, Have: have}
			continue
		}
		if bad != nil {
			return p, fmt.Errorf("%s: %w", p, bad)
		}
		return p, nil
	}
	return strings.Join(paths, ", "), cmp.Or(unread, err)
}

// The lock of a kubeconfig is there for moments, unless its maker was killed.
const (
	lockTime  = 3 * time.Second
	lockPause = 10 * time.Millisecond
)

// lockKubeconfig keeps kubectl from changing a file, which takes the same lock
// (k8s.io/client-go/tools/clientcmd, lockFile).
func lockKubeconfig(path string) (unlock func(), err error) {
	lock := path + ".lock"
	for end := time.Now().Add(lockTime); ; time.Sleep(lockPause) {
		f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_ = f.Close()
			return func() { _ = os.Remove(lock) }, nil
		}
		if !errors.Is(err, fs.ErrExist) || time.Now().After(end) {
			return nil, err
		}
	}
}
