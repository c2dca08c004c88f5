package config

import (
	"bufio"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const manual = "../../packaging/man/cspctl-config.toml.5"

// keysOf lists the keys of a type with the table that each stands in, as the
// manual page names it: "", [expiry], [profiles.NAME.expiry], [[sockets]].
func keysOf(t reflect.Type, name string, table func(string) string) (keys []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if key == "" || key == "-" {
			continue
		}
		path := strings.TrimPrefix(name+"."+key, ".")
		single := func(s string) string { return "[" + s + "]" }
		switch of := f.Type; {
		case isTable(of):
			keys = append(keys, keysOf(of, path, single)...)
		case of.Kind() == reflect.Pointer && isTable(of.Elem()):
			keys = append(keys, keysOf(of.Elem(), path, single)...)
		case of.Kind() == reflect.Map && isTable(of.Elem()):
			keys = append(keys, keysOf(of.Elem(), path+".NAME", single)...)
		case of.Kind() == reflect.Slice && isTable(of.Elem()):
			keys = append(keys, keysOf(of.Elem(), path, func(s string) string { return "[[" + s + "]]" })...)
		default:
			in := ""
			if name != "" {
				in = table(name)
			}
			keys = append(keys, strings.TrimSpace(in+" "+key))
		}
	}
	return keys
}

// isTable reports whether a type has keys of its own: a Duration, say, is a
// struct that has none.
func isTable(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") != "" {
			return true
		}
	}
	return false
}

// manualKeys lists the keys that the page describes, in the same form.
func manualKeys(t *testing.T) (keys []string) {
	t.Helper()
	f, err := os.Open(manual)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, inSettings, before := "", false, ""
	for s := bufio.NewScanner(f); s.Scan(); before = s.Text() {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, ".SH "):
			inSettings = line == ".SH SETTINGS"
		case strings.HasPrefix(line, ".SS "):
			if table = strings.Trim(line[4:], `"`); !strings.HasPrefix(table, "[") {
				table = ""
			}
		case inSettings && before == ".TP":
			keys = append(keys, strings.TrimSpace(table+" "+strings.TrimPrefix(line, ".B ")))
		}
	}
	return keys
}

// Every key is described in the manual page, and nothing that is no key.
func TestManualPageHasEverySetting(t *testing.T) {
	keys, described := keysOf(reflect.TypeFor[Settings](), "", nil), manualKeys(t)
	if len(keys) < 15 || len(described) < 15 {
		t.Fatalf("keys %v, described %v", keys, described)
	}
	for _, k := range keys {
		if !slices.Contains(described, k) {
			t.Errorf("%q is not described: add it to packaging/man/%s, below its .SS \"[TABLE]\" as .TP and .B KEY", k, filepath.Base(manual))
		}
	}
	for i, k := range described {
		if !slices.Contains(keys, k) {
			t.Errorf("packaging/man/%s describes %q, which is no setting", filepath.Base(manual), k)
		}
		if slices.Contains(described[:i], k) {
			t.Errorf("packaging/man/%s describes %q twice", filepath.Base(manual), k)
		}
	}
}

// The example of the page is a file of settings.
func TestExampleOfTheManualPage(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths are of other systems")
	}
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(b), ".SH EXAMPLES\n.EX\n")
	example, _, ok := strings.Cut(example, ".EE\n")
	s, err := parse("config.toml", []byte(strings.ReplaceAll(example, `\-`, "-")))
	if err != nil || !ok || len(s.Sockets) != 1 || len(s.Profiles) != 1 {
		t.Errorf("%v: %s", err, example)
	}
}
