//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Another time, place, umask and language make the same bytes.
func TestSameBytesTwice(t *testing.T) {
	first := filepath.Dir(made(t, ".deb"))
	again := filepath.Join(t.TempDir(), "somewhere else")
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("LC_ALL", "C")
	t.Setenv("GOFLAGS", "-ldflags=-X=main.x=y")
	t.Setenv("TMPDIR", t.TempDir())
	old := syscall.Umask(0o077)
	err := makeRelease(t.Context(), again, []string{"linux/" + runtime.GOARCH}, false)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(first, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(filepath.Join(again, sumsFile))
	if err != nil || !bytes.Equal(sums, now) || strings.Count(string(now), "\n") != 4 {
		t.Errorf("%v: first\n%sthen\n%s", err, sums, now)
	}
	c := exec.CommandContext(t.Context(), "sha256sum", "-c", sumsFile)
	c.Dir = again
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// unpacked returns a folder with the contents of the Debian package or, named
// so, of the archive.
func unpacked(t *testing.T, extension string) string {
	t.Helper()
	dir := t.TempDir()
	if extension == ".deb" {
		must(t, "dpkg", "dpkg-deb", "-x", made(t, extension), dir)
	} else {
		must(t, "tar", "tar", "-xzf", made(t, extension), "--strip-components=1", "-C", dir)
	}
	return dir
}

// Nothing of the machine gets out: no path of the checkout, of the module
// cache, of temporary files or of the person.
func TestNothingOfTheMachine(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cache := strings.TrimSpace(must(t, "golang", "go", "env", "GOMODCACHE"))
	traces := []string{here, cache, filepath.Join(os.TempDir(), "release"), madeIn}
	if home, err := os.UserHomeDir(); err == nil && len(home) > 1 {
		traces = append(traces, home+"/go")
	}
	count := 0
	for _, extension := range []string{".deb", ".tar.gz"} {
		err := filepath.WalkDir(unpacked(t, extension), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			count++
			b, err := os.ReadFile(path)
			for _, trace := range traces {
				if bytes.Contains(b, []byte(trace)) {
					t.Errorf("%s is in %s", trace, path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count < 25 {
		t.Errorf("only %d files", count)
	}
}

// The bill of materials lists what go version -m finds in the commands, and
// points at nothing that it does not list.
func TestBillOfMaterials(t *testing.T) {
	b, err := os.ReadFile(made(t, ".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	refs, hashes := map[string]bool{got.Metadata.Component.Ref: true}, map[string]string{}
	for _, c := range got.Components {
		if refs[c.Ref] {
			t.Errorf("%s is there twice", c.Ref)
		}
		refs[c.Ref] = true
		if len(c.Hashes) > 0 {
			hashes[c.Name] = c.Hashes[0].Content
		}
	}
	for _, d := range got.Dependencies {
		for _, ref := range append(d.DependsOn, d.Ref) {
			if !refs[ref] {
				t.Errorf("%s is not listed", ref)
			}
		}
	}
	dir := unpacked(t, ".tar.gz")
	for _, name := range products {
		sum, _, _ := strings.Cut(must(t, "coreutils", "sha256sum", filepath.Join(dir, name)), " ")
		if hashes[name] != sum {
			t.Errorf("%s: %s, want %s", name, hashes[name], sum)
		}
		for line := range strings.Lines(must(t, "golang", "go", "version", "-m", filepath.Join(dir, name))) {
			if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" && !refs["pkg:golang/"+f[1]+"@"+f[2]] {
				t.Errorf("%s is linked into %s and not listed", f[1], name)
			}
		}
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(got.Serial) ||
		got.Format != "CycloneDX" || got.SpecVersion != "1.6" {
		t.Errorf("%+v", got)
	}
}
