package keychain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// itemVersion is the version of the document below. A change of what a
// binding holds must raise it: an older program that skipped a field of the
// binding would not check it.
const itemVersion = 1

// maxItem bounds a document, in bytes. Stores may take less.
const maxItem = 64 << 10

// item is what a store keeps for a profile: the secret together with what it
// is bound to (P1), so that neither can be had or changed without the other.
type item struct {
	Version int              `json:"v"`
	Binding provider.Binding `json:"binding"`
	Secret  secret.Wire      `json:"secret"`
	// Previous is the secret before it, where a server replaced that.
	Previous secret.Wire `json:"previous,omitzero"`
}

var (
	errItemVersion = errors.New("item of another version")
	errItemContent = errors.New("item that can't be read")
)

// encodeItem makes the document of a credential.
func encodeItem(kind string, c provider.Credential) (string, error) {
	refuse := func(why string) error {
		return unavailable(kind, "the secret can't be stored: "+why, "enter it again", nil)
	}
	b := c.Binding
	switch {
	case c.Secret.IsZero():
		return "", refuse("it is empty")
	case b.Provider == "":
		return "", refuse("it is bound to no provider")
	}
	for _, s := range []string{c.Secret.Reveal(), c.Previous.Reveal(), b.Provider, b.Origin, b.Org, b.ClientID, b.User, b.CASHA256} {
		if !utf8.ValidString(s) { // JSON would change it silently
			return "", refuse("it is not valid UTF-8")
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(item{itemVersion, b, secret.Wire{Text: c.Secret}, secret.Wire{Text: c.Previous}}); err != nil {
		return "", refuse("it can't be encoded")
	}
	doc := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(doc) > maxItem {
		return "", refuse(fmt.Sprintf("it is longer than %d KiB", maxItem>>10))
	}
	return string(doc), nil
}

// decodeItem reads a document. Its errors say nothing of the content.
func decodeItem(doc string) (provider.Credential, error) {
	var none provider.Credential
	if len(doc) > maxItem || !utf8.ValidString(doc) {
		return none, errItemContent
	}
	var head struct {
		Version *int `json:"v"`
	}
	if json.Unmarshal([]byte(doc), &head) != nil || head.Version == nil {
		return none, errItemContent
	}
	if *head.Version != itemVersion {
		return none, errItemVersion
	}
	var it item
	dec := json.NewDecoder(bytes.NewReader([]byte(doc)))
	dec.DisallowUnknownFields() // see itemVersion
	if dec.Decode(&it) != nil {
		return none, errItemContent
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return none, errItemContent
	}
	if it.Binding.Provider == "" || it.Secret.IsZero() {
		return none, errItemContent
	}
	return provider.Credential{Binding: it.Binding, Secret: it.Secret.Text, Previous: it.Previous.Text}, nil
}

// openItem is decodeItem with the errors of Store.Get.
func openItem(kind, profile, doc string) (provider.Credential, error) {
	c, err := decodeItem(doc)
	switch {
	case errors.Is(err, errItemVersion):
		return c, unavailable(kind, fmt.Sprintf("the item of profile %s was written by another version of this program", profile),
			"upgrade it, or log in again: cspctl login "+profile, err)
	case err != nil:
		return c, unavailable(kind, fmt.Sprintf("the item of profile %s can't be read", profile),
			"log in again: cspctl login "+profile, err)
	}
	return c, nil
}
