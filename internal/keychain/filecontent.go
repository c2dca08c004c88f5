package keychain

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// storeFile is what the file store encrypts: the items of all profiles.
type storeFile struct {
	Version int                        `json:"v"`
	Items   map[string]json.RawMessage `json:"items"`
}

var errStoreContent = errors.New("not a file store's content")

// parseStore reads the decrypted content. The items themselves are not looked
// into: one that is bad must not keep the others from being read.
func parseStore(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, errStoreContent
	}
	var s storeFile
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields() // a change would lose them
	if dec.Decode(&s) != nil || s.Version != storeVersion || s.Items == nil {
		return nil, errStoreContent
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errStoreContent
	}
	return s.Items, nil
}

// formatStore is the inverse of parseStore.
func formatStore(items map[string]json.RawMessage) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // keeps the items as they are
	err := enc.Encode(storeFile{storeVersion, items})
	return buf.Bytes(), err
}
