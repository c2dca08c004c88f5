package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func TestVersions(t *testing.T) {
	for _, c := range []struct{ raw, tag, plain, linux string }{
		{"v1.2.3", "v1.2.3", "1.2.3", "1.2.3"},
		{"v1.2.3-rc.1", "v1.2.3-rc.1", "1.2.3-rc.1", "1.2.3~rc.1"},
		{"v1.2.3-14-g5f8d6b5", "", "1.2.3+14.g5f8d6b5", "1.2.3+14.g5f8d6b5"},
		{"v1.2.3-rc.1-2-g5f8d6b5", "", "1.2.3-rc.1+2.g5f8d6b5", "1.2.3~rc.1+2.g5f8d6b5"},
		{"v1.2.3-dirty", "", "1.2.3+dirty", "1.2.3+dirty"},
		{"5f8d6b5", "", "0.0.0-git20260504.5f8d6b5", "0.0.0~git20260504.5f8d6b5"},
		{"5f8d6b5-dirty", "", "0.0.0-git20260504.5f8d6b5+dirty", "0.0.0~git20260504.5f8d6b5+dirty"},
	} {
		v, err := newVersion(c.raw, noon)
		if err != nil || v.raw != c.raw || v.tag != c.tag || v.plain != c.plain || v.linux != c.linux || v.dirty != strings.HasSuffix(c.raw, "-dirty") {
			t.Errorf("%s: %+v, %v", c.raw, v, err)
		}
	}
	for _, raw := range []string{"", "1.2", "v1", "main", "v1.2.3 ", "v1.2.3;rm", "../../x"} {
		if v, err := newVersion(raw, noon); err == nil {
			t.Errorf("%q: %+v", raw, v)
		}
	}
}

// dpkg and rpm put them in the order in which they were made.
func TestVersionsAreOrdered(t *testing.T) {
	exe, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("needs dpkg (Debian)")
	}
	last := ""
	for _, raw := range []string{"5f8d6b5", "v1.2.3-rc.1", "v1.2.3-rc.1-2-g5f8d6b5", "v1.2.3-rc.2", "v1.2.3", "v1.2.3-1-gabc1234", "v1.2.3-14-g5f8d6b5", "v1.2.4"} {
		v, err := newVersion(raw, noon)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" && exec.CommandContext(t.Context(), exe, "--compare-versions", last, "lt", v.linux).Run() != nil {
			t.Errorf("%s is not before %s", last, v.linux)
		}
		last = v.linux
	}
}

func TestWithoutGit(t *testing.T) {
	env := map[string]string{"VERSION": "v2.0.0", "SOURCE_DATE_EPOCH": "1777896000"}
	v, at, err := fromGit(t.Context(), func(name string) string { return env[name] })
	if err != nil || v.tag != "v2.0.0" || !at.Equal(noon) {
		t.Errorf("%+v, %v, %v", v, at, err)
	}
	env["SOURCE_DATE_EPOCH"] = "yesterday"
	if _, _, err := fromGit(t.Context(), func(name string) string { return env[name] }); err == nil {
		t.Error("a time that is none")
	}
}

// withHashes is a release of all platforms with made-up checksums.
func withHashes(t *testing.T) *release {
	t.Helper()
	r := &release{time: noon, hashes: map[string]string{}}
	r.version, _ = newVersion("v1.2.3", noon)
	for i, name := range strings.Split(allPlatforms, ",") {
		p, err := parsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := strings.Repeat(string(rune('0'+i)), 64)
		r.hashes[r.name(p)+".tar.gz"], r.hashes[r.name(p)+".zip"] = sum, sum
	}
	return r
}

func TestFormula(t *testing.T) {
	text := withHashes(t).formula()
	for _, want := range []string{
		"url \"https://github.com/cspctl/cspctl/releases/download/v1.2.3/cspctl_1.2.3_darwin_arm64.tar.gz\"\n      sha256 \"" + strings.Repeat("3", 64) + `"`,
		"url \"https://github.com/cspctl/cspctl/releases/download/v1.2.3/cspctl_1.2.3_linux_amd64.tar.gz\"\n      sha256 \"" + strings.Repeat("0", 64) + `"`,
		`version "1.2.3"`, `license "Apache-2.0"`, `bin.install "cspctl", "csp-agent"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	opened, closed := 0, 0 // blocks
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, " do") || strings.HasPrefix(line, "class ") || strings.HasPrefix(line, "def ") {
			opened++
		} else if line == "end" {
			closed++
		}
	}
	if opened != closed || opened != 9 {
		t.Errorf("%d blocks, %d ends", opened, closed)
	}
	if exe, err := exec.LookPath("ruby"); err == nil {
		c := exec.CommandContext(t.Context(), exe, "-wc")
		c.Stdin = strings.NewReader(text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestScoopManifest(t *testing.T) {
	b, err := withHashes(t).scoop()
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Version, Homepage, License string
		Bin                        []string
		Architecture               map[string]struct {
			URL, Hash string
			Dir       string `json:"extract_dir"`
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	got := m.Architecture["arm64"]
	if m.Version != "1.2.3" || strings.Join(m.Bin, " ") != "cspctl.exe csp-agent.exe" || len(m.Architecture) != 2 ||
		got.URL != "https://github.com/cspctl/cspctl/releases/download/v1.2.3/cspctl_1.2.3_windows_arm64.zip" ||
		got.Hash != strings.Repeat("5", 64) || got.Dir != "cspctl_1.2.3_windows_arm64" {
		t.Errorf("%s", b)
	}
}

func TestChanges(t *testing.T) {
	got := changes("# Changelog\n\nWords.\n\n## Unreleased\n\n- One thing,\n  on two lines.\n- " + strings.Repeat("long ", 20) + "\n\n## 1.0\n\n- old\n")
	want := "  * One thing, on two lines.\n  * " + strings.TrimSpace(strings.Repeat("long ", 15)) + "\n    long long long long long\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Archives hold what is given, in its order, with one time and one owner.
func TestTarIsTheSameTwice(t *testing.T) {
	entries := []entry{{"a/b", 0o644, []byte("x")}, {"c", 0o755, []byte("y")}}
	var one, two bytes.Buffer
	for _, w := range []*bytes.Buffer{&one, &two} {
		if err := writeTar(w, "top", noon, entries); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) || one.Len() == 0 {
		t.Error("they differ")
	}
}

// What is not a release is not removed.
func TestAFolderOfOthersIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := emptyFolder(dir); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeRelease(t.Context(), dir, nil, false); err == nil {
		t.Error("a folder of others was taken")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
