package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/cspctl/cspctl/internal/config"
)

// settings looks at config.toml: what is wrong in it, and whether the agent has
// read it as it is now.
func settings(_ context.Context, e *exam) []Finding {
	path := e.Files.Config
	if e.System {
		return e.systemSettings()
	}
	if path == "" {
		return []Finding{info("where they would be is not known without a home")}
	}
	s, err := e.config()
	if err != nil {
		f := fail(err.Error(), "correct "+path)
		if bad, ok := errors.AsType[*config.Error](err); ok && bad.Line > 0 {
			f.Fix = fmt.Sprintf("correct line %d of %s", bad.Line, path)
		} else if file, err := os.Open(path); err == nil {
			_ = file.Close()
		} else if errors.Is(err, fs.ErrPermission) {
			f.Fix = "chmod 600 " + quote(path) + ", as its owner"
		}
		if st := e.reply().status; st != nil && st.Config.Kept {
			f.Detail = "until then the agent goes on with the settings before it"
		} else if st != nil && st.Config.Error == "" {
			f.Detail = "the agent has not read it yet, and goes on with the settings that it has"
		}
		return []Finding{f}
	}
	var found []Finding
	if f := e.unread(path); f != nil {
		found = append(found, *f)
	}
	if c := s.Hook.Command; len(c) > 0 {
		if st, err := os.Stat(c[0]); err != nil {
			found = append(found, warn("the hook "+c[0]+" can't be run: "+because(err), "correct hook.command in "+path))
		} else if !st.Mode().IsRegular() || runtime.GOOS != "windows" && st.Mode().Perm()&0o111 == 0 {
			found = append(found, warn("the hook "+c[0]+" is no program", "chmod +x "+quote(c[0])))
		}
	}
	found = append(found, e.sinks(s.Sinks.Dirs)...)
	for _, k := range s.Sockets {
		if st, err := os.Stat(filepath.Dir(k.Path)); err != nil || !st.IsDir() {
			found = append(found, warn("the folder of the further socket "+k.Path+" is not there",
				"make "+filepath.Dir(k.Path)+", closed to writing for others, as root or as yourself"))
		}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return orFine(found, ok("there is no "+path+", so everything is as it is by default"))
	}
	return orFine(found, ok(path))
}

// systemSettings are those that the system's service says it has read: where
// they are is its own to know.
func (e *exam) systemSettings() []Finding {
	st := e.reply().status
	switch {
	case st == nil:
		return nil
	case st.Config.Error != "":
		return []Finding{fail(st.Config.Error, "correct "+st.Config.Path+", then: "+e.restart())}
	}
	return []Finding{ok(st.Config.Path)}
}

// unread compares what the agent has read with the file as it is.
func (e *exam) unread(path string) *Finding {
	st := e.reply().status
	if st == nil {
		return nil
	}
	again := "kill -HUP " + strconv.Itoa(st.PID)
	if runtime.GOOS == "windows" {
		again = e.restart()
	}
	var f Finding
	info, err := os.Stat(path)
	switch {
	case st.Config.Path != "" && filepath.Clean(st.Config.Path) != filepath.Clean(path):
		f = warn("the agent reads its settings from "+st.Config.Path+", and this shell means "+path,
			"set CSP_AGENT_CONFIG and XDG_CONFIG_HOME the same in both, then: "+e.restart())
	case st.Config.Error != "":
		f = warn("the file is good now, and the agent has not read it since: it found "+st.Config.Error, again)
	case err == nil && !st.Config.ReadAt.IsZero() && info.ModTime().After(st.Config.ReadAt):
		f = warn("the file was changed at "+info.ModTime().UTC().Format(time.RFC3339)+", after the agent had read it", again)
	case err != nil || st.Config.ReadAt.IsZero():
		return nil
	default:
		return nil
	}
	return &f
}
