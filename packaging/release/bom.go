package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// The parts of CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/) that a bill
// of materials of Go programs needs.
type bom struct {
	Schema       string          `json:"$schema"`
	Format       string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	Serial       string          `json:"serialNumber"`
	Version      int             `json:"version"`
	Metadata     bomMetadata     `json:"metadata"`
	Components   []bomComponent  `json:"components"`
	Dependencies []bomDependency `json:"dependencies"`
}

type bomMetadata struct {
	Timestamp string       `json:"timestamp"`
	Component bomComponent `json:"component"`
}

type bomComponent struct {
	Type       string        `json:"type"`
	Ref        string        `json:"bom-ref"`
	Name       string        `json:"name"`
	Version    string        `json:"version"`
	PURL       string        `json:"purl,omitempty"`
	Hashes     []bomHash     `json:"hashes,omitempty"`
	Properties []bomProperty `json:"properties,omitempty"`
}

type bomHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type bomProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type bomDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// bom lists what is linked into the commands of a platform, as the linker wrote
// it into each of them.
func (r *release) bom(p platform, bin string) ([]byte, error) {
	top := bomComponent{Type: "application", Ref: "release", Name: "cspctl", Version: r.version.plain,
		PURL:       "pkg:github/cspctl/cspctl@" + r.version.raw,
		Properties: []bomProperty{{"go:os", p.os}, {"go:arch", p.arch}}}
	b := bom{Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: bomMetadata{r.time.Format(time.RFC3339), top}}
	links := []bomDependency{{Ref: top.Ref}}
	libraries := map[string]bomComponent{}
	for _, name := range products {
		file := p.program(name)
		data, err := os.ReadFile(filepath.Join(bin, file))
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.ReadFile(filepath.Join(bin, file))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		program := bomComponent{Type: "application", Ref: file, Name: file, Version: r.version.plain,
			Hashes: []bomHash{{"SHA-256", hex.EncodeToString(sum[:])}}}
		b.Components = append(b.Components, program)
		links[0].DependsOn = append(links[0].DependsOn, file)
		dep := bomDependency{Ref: file}
		for _, l := range linked(info) {
			libraries[l.Ref] = l
			dep.DependsOn = append(dep.DependsOn, l.Ref)
		}
		links = append(links, dep)
	}
	var all []bomComponent
	for _, l := range libraries {
		all = append(all, l)
	}
	slices.SortFunc(all, func(x, y bomComponent) int { return strings.Compare(x.Ref, y.Ref) })
	b.Components, b.Dependencies = append(b.Components, all...), links
	for _, l := range all {
		b.Dependencies = append(b.Dependencies, bomDependency{Ref: l.Ref})
	}
	return b.encode()
}

// linked are the standard library and the modules of a command.
func linked(info *debug.BuildInfo) []bomComponent {
	library := func(path, version string) bomComponent {
		ref := "pkg:golang/" + path + "@" + version
		return bomComponent{Type: "library", Ref: ref, Name: path, Version: version, PURL: ref}
	}
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	list := []bomComponent{library("std", goVersion)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		l := library(m.Path, m.Version)
		if m.Sum != "" { // as go.sum has it: of the files, and no hash of one file
			l.Properties = []bomProperty{{"go:sum", m.Sum}}
		}
		list = append(list, l)
	}
	return list
}

// encode adds a serial number that is made of the contents: a random one would
// differ each time.
func (b bom) encode() ([]byte, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(text)
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8
	b.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	text, err = json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}
