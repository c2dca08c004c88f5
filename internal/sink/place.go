package sink

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

func refuse(hint, format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeBadRequest, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// parseMode reads the permissions of a file: the owner may read it, and the
// group, where somebody asks for that; nobody else.
func parseMode(s string) (fs.FileMode, *ipc.Error) {
	switch s {
	case "", "0600", "600":
		return 0o600, nil
	}
	if groups {
		switch s {
		case "0400", "400":
			return 0o400, nil
		case "0640", "640":
			return 0o640, nil
		case "0440", "440":
			return 0o440, nil
		}
		return 0, refuse("use 0600, 0400, 0640 or 0440", "a file with a token can't have that mode")
	}
	return 0, refuse("leave --mode out", "files have no such modes here")
}

// maxPath bounds the path of a file, in bytes: all of them fit into an answer.
const maxPath = 1 << 10

// inOwn reports whether a file is in the agent's own folder for tokens.
func (s *Sinks) inOwn(file string) bool {
	return s.Folder != "" && filepath.Dir(file) == filepath.Clean(s.Folder)
}

// place returns the path of a sink's file without symbolic links in its folder.
// It is looked up each time: settings change, and so do folders. The file itself
// is not followed anywhere, see atomicfile.WriteMode.
func (s *Sinks) place(file string) (string, *ipc.Error) {
	if !filepath.IsAbs(file) || filepath.Clean(file) != file || len(file) > maxPath || strings.ContainsFunc(file, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", refuse("give the file by a path without ..", "that is not an absolute path of a file")
	}
	dir, own := filepath.Dir(file), s.inOwn(file)
	if own {
		if err := makeOwn(dir); err != nil {
			return "", trouble("the folder for tokens can't be made: %v", err)
		}
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		if bad := s.mayBe(dir, file); !own && bad != nil {
			return "", bad
		}
		return "", trouble("the folder of %s can't be used: %v", file, err)
	}
	if bad := s.mayBe(real, file); !own && bad != nil {
		return "", bad
	}
	if err := checkFolder(real); err != nil {
		return "", refuse(closeIt, "%v", err)
	}
	file = filepath.Join(real, filepath.Base(file))
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return "", refuse("remove it, or choose another file", "%s is there and is not a regular file", file)
	}
	return file, nil
}

// mayBe returns an error unless a folder is one of those in the settings, or below
// one, and nobody but the user and root can replace a folder on the way down.
func (s *Sinks) mayBe(dir, file string) *ipc.Error {
	for _, root := range s.Dirs() {
		root, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue
		}
		rel, err := filepath.Rel(root, dir)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			continue
		}
		for _, part := range strings.Split(rel, string(filepath.Separator)) {
			if err := safeParent(root); err != nil {
				return refuse(closeIt, "%v", err)
			}
			root = filepath.Join(root, part)
		}
		return nil
	}
	return refuse("leave --file out, or add the folder to dirs of [sinks] in the settings, then: csp-agent install, csp-agent restart",
		"%s is not below a folder that the settings allow for files with tokens", file)
}

const closeIt = "make it your own and close it to others (chmod go-w), or choose another folder"

func trouble(format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeState, Message: fmt.Sprintf(format, args...), Hint: "make room, or make the folder writable; it is tried again"}
}
