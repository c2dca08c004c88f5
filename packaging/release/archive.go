package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a file in an archive, below the archive's one folder.
type entry struct {
	name string
	mode fs.FileMode
	data []byte
}

// archive writes the archive for a platform: a zip for Windows, else a tar.gz.
func (r *release) archive(p platform, bin string) error {
	entries, err := r.entries(p, bin)
	if err != nil {
		return err
	}
	top := r.name(p)
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	if p.os == "windows" {
		err = writeZip(&b, top, r.time, entries)
		top += ".zip"
	} else {
		err = writeTar(&b, top, r.time, entries)
		top += ".tar.gz"
	}
	if err != nil {
		return err
	}
	return r.write(top, b.Bytes())
}

// powerShell is the module for PowerShell, which runs on all systems.
const powerShell = "packaging/powershell/CspCtl/"

// entries are the contents of the archive for a platform.
func (r *release) entries(p platform, bin string) ([]entry, error) {
	entries := []entry{{"THIRD-PARTY-NOTICES", 0o644, r.notices}}
	for _, name := range products {
		b, err := os.ReadFile(filepath.Join(bin, p.program(name)))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{p.program(name), 0o755, b})
	}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name, 0o644, b})
	}
	module, err := filepath.Glob(powerShell + "*")
	if err != nil {
		return nil, err
	}
	for _, from := range module {
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{"powershell/CspCtl/" + filepath.Base(from), 0o644, b})
	}
	if p.os == "windows" { // has neither man nor the other shells
		return append(entries, entry{"completions/cspctl.ps1", 0o644, r.scripts["powershell"]}), nil
	}
	for name, page := range r.manual {
		entries = append(entries, entry{"man/" + name, 0o644, page})
	}
	for shell, name := range map[string]string{"bash": "cspctl.bash", "zsh": "_cspctl", "fish": "cspctl.fish", "powershell": "cspctl.ps1"} {
		entries = append(entries, entry{"completions/" + name, 0o644, r.scripts[shell]})
	}
	return entries, nil
}

func writeTar(w io.Writer, top string, t time.Time, entries []entry) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	a := tar.NewWriter(z)
	folders := map[string]bool{}
	for _, e := range entries {
		name := path.Join(top, e.name)
		for _, dir := range parents(name) {
			if !folders[dir] {
				folders[dir] = true
				if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: t, Uname: "root", Gname: "root"}); err != nil {
					return err
				}
			}
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: t, Uname: "root", Gname: "root"}
		if err := a.WriteHeader(h); err != nil {
			return err
		}
		if _, err := a.Write(e.data); err != nil {
			return err
		}
	}
	if err := a.Close(); err != nil {
		return err
	}
	return z.Close()
}

// parents returns the folders above a path, the uppermost first.
func parents(name string) (dirs []string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

func writeZip(w io.Writer, top string, t time.Time, entries []entry) error {
	a := zip.NewWriter(w)
	for _, e := range entries {
		h := &zip.FileHeader{Name: path.Join(top, e.name), Method: zip.Deflate, Modified: t}
		h.SetMode(e.mode)
		f, err := a.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return a.Close()
}

// sumsFile names the file that sha256sum -c reads.
const sumsFile = "SHA256SUMS"

// write writes a file of the release.
func (r *release) write(name string, b []byte) error {
	sum := sha256.Sum256(b)
	r.hashes[name] = hex.EncodeToString(sum[:])
	return os.WriteFile(filepath.Join(r.out, name), b, 0o644)
}

// checksums writes the SHA-256 of every file.
func (r *release) checksums() error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.hashes)) {
		fmt.Fprintf(&b, "%s  %s\n", r.hashes[name], name)
	}
	return os.WriteFile(filepath.Join(r.out, sumsFile), []byte(b.String()), 0o644)
}

// compressed returns b as gzip -9n makes it.
func compressed(b []byte) ([]byte, error) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return z.Bytes(), err
}
