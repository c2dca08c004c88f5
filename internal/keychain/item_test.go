package keychain

import (
	"errors"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func TestItemDecoder(t *testing.T) {
	const good = `{"v":1,"binding":{"provider":"csp","origin":"https://a.example"},"secret":"s"}`
	for _, c := range []struct {
		name, doc string
		want      error
	}{
		{"good", good, nil},
		{"spaces around", " " + good + "\n", nil},
		{"next version", strings.Replace(good, `"v":1`, `"v":2`, 1), errItemVersion},
		{"version 0", strings.Replace(good, `"v":1`, `"v":0`, 1), errItemVersion},
		{"no version", strings.Replace(good, `"v":1,`, ``, 1), errItemContent},
		{"version as text", strings.Replace(good, `"v":1`, `"v":"1"`, 1), errItemContent},
		{"a binding that we would not check", strings.Replace(good, `"origin"`, `"tenant":"t","origin"`, 1), errItemContent},
		{"no secret", strings.Replace(good, `"secret":"s"`, `"secret":""`, 1), errItemContent},
		{"no provider", strings.Replace(good, `csp`, ``, 1), errItemContent},
		{"two documents", good + good, errItemContent},
		{"cut", good[:len(good)-1], errItemContent},
		{"a bare secret", "some-password", errItemContent},
		{"not UTF-8", strings.Replace(good, `"s"`, "\"\xff\"", 1), errItemContent},
		{"huge", strings.Repeat(" ", maxItem) + good, errItemContent},
		{"empty", "", errItemContent},
		{"null", "null", errItemContent},
	} {
		got, err := decodeItem(c.doc)
		if !errors.Is(err, c.want) || (err == nil) != (got.Provider != "") {
			t.Errorf("%s: got %v, %v; want %v", c.name, got.Binding, err, c.want)
		}
	}
}

// What cannot be read is explained without showing any of it.
func TestP1ErrorOfABadItemDoesNotShowIt(t *testing.T) {
	leak := strings.Repeat("leak", 5)
	for _, doc := range []string{leak, `{"v":2,"secret":"` + leak + `"}`, `{"v":1,"secret":"` + leak + `","x":1}`, `{"v":"` + leak + `"}`} {
		_, err := openItem(provider.Memory, "p", doc)
		e, ok := errors.AsType[*provider.StoreError](err)
		if !ok || e.State.Status != provider.StoreUnavailable || e.State.Hint == "" {
			t.Errorf("got %v", err)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "leak") {
				t.Errorf("the error shows the item: %v", err)
			}
		}
	}
}

func FuzzItem(f *testing.F) {
	c := provider.Credential{Binding: provider.Binding{Provider: "csp", Origin: "https://a.example", Org: "o"}, Secret: secret.New("s<&>")}
	doc, err := encodeItem(provider.Memory, c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add(`{"v":1,"binding":{},"secret":""}`)
	f.Add(`{"v":2}`)
	f.Add(`{"V":1,"v":1,"Binding":{"PROVIDER":"x"},"secret":"\ud800"}`)
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := decodeItem(doc)
		if err != nil {
			if c.Provider != "" || !c.Secret.IsZero() {
				t.Error("content with an error")
			}
			return
		}
		again, err := encodeItem(provider.Memory, c)
		if err != nil {
			if len(doc) > maxItem/8 { // escapes may make it longer
				return
			}
			t.Fatalf("what was read can't be written: %v", err)
		}
		back, err := decodeItem(again)
		if err != nil || back.Binding != c.Binding || !back.Secret.Equal(c.Secret) {
			t.Errorf("%q came back changed: %q, %v", doc, again, err)
		}
	})
}

func FuzzStoreContent(f *testing.F) {
	f.Add([]byte(`{"v":1,"items":{"p":{"v":1}}}`))
	f.Add([]byte(`{"v":1,"items":{}}`))
	f.Add([]byte(`{"v":1,"items":null}`))
	f.Add([]byte(`{"v":2,"items":{"p":1}} x`))
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := parseStore(text)
		if err != nil {
			return
		}
		again, err := formatStore(items)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseStore(again)
		if err != nil || len(back) != len(items) {
			t.Fatalf("%q came back changed: %q, %v", text, again, err)
		}
		for profile, doc := range back {
			a, errA := decodeItem(string(items[profile]))
			b, errB := decodeItem(string(doc))
			if (errA == nil) != (errB == nil) || a.Binding != b.Binding || !a.Secret.Equal(b.Secret) {
				t.Errorf("item %q came back changed", profile)
			}
		}
	})
}
