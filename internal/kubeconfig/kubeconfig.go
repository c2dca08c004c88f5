// Package kubeconfig edits the file that kubectl and client-go read: it has a
// context log in by cspctl, and leaves everything else as people wrote it.
package kubeconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Entry is a user entry whose credential is cspctl's.
type Entry struct {
	User    string // the name of the entry
	Context string // that uses it; it must be there
	Command string // cspctl, as kubectl finds it
	Profile string
	Replace bool // also an entry of that name that is somebody else's
}

// The exec plugin protocol of client-go, in which v1 needs interactiveMode:
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
const (
	apiVersion  = "client.authentication.k8s.io/v1"
	interactive = "IfAvailable"
	installHint = "cspctl is not on PATH: see https://github.com/cspctl/cspctl"
)

// ErrOther: the user entry is there, and is not cspctl's.
var ErrOther = errors.New("the user entry is somebody else's")

// NoContextError: the file has no context of that name.
type NoContextError struct {
	Name string
	Have []string
}

func (e *NoContextError) Error() string {
	const most = 20 // enough to see which file it is
	have := "it has none"
	if n := len(e.Have); n > 0 {
		have = "it has " + strings.Join(e.Have[:min(n, most)], ", ")
		if n > most {
			have += fmt.Sprintf(" and %d more", n-most)
		}
	}
	return "there is no context " + e.Name + ": " + have
}

// Check returns nil for a kubeconfig that has a context, a *NoContextError for
// one that has not, and another error for what is none.
func Check(file []byte, context string) error {
	_, err := parse(file, context)
	return err
}

// Set returns the kubeconfig with the entry in it. It returns the file as it is
// where that is so already.
func Set(file []byte, e Entry) ([]byte, error) {
	if lf := bytes.ReplaceAll(file, []byte("\r\n"), []byte("\n")); len(lf) < len(file) { // the parser adds lines to it
		after, err := Set(lf, e)
		if err != nil || bytes.Equal(after, lf) {
			return file, err
		}
		return bytes.ReplaceAll(after, []byte("\n"), []byte("\r\n")), nil
	}
	doc, err := parse(file, e.Context)
	if err != nil {
		return nil, err
	}
	root := doc.Content[0]
	users := member(root, "users")
	switch {
	case users == nil || users.Tag == "!!null":
		users = &yaml.Node{Kind: yaml.SequenceNode}
		put(root, "users", users)
	case users.Kind != yaml.SequenceNode:
		return nil, errors.New("it is no kubeconfig: users is not a list")
	}
	entry := named(users, e.User)
	ours := isOurs(entry)
	switch {
	case entry == nil:
		entry = &yaml.Node{Kind: yaml.MappingNode}
		put(entry, "name", text(e.User))
		users.Content = append(users.Content, entry)
		users.Style &^= yaml.FlowStyle // users: []
	case !ours && !e.Replace:
		return nil, ErrOther
	}
	exec := member(member(entry, "user"), "exec")
	context := member(named(member(root, "contexts"), e.Context), "context")
	if e.is(exec) && scalar(member(context, "user")) == e.User {
		return file, nil
	}
	if !ours {
		exec = &yaml.Node{Kind: yaml.MappingNode}
		user := &yaml.Node{Kind: yaml.MappingNode}
		put(user, "exec", exec)
		put(entry, "user", user)
	}
	e.fill(exec)
	put(context, "user", text(e.User))
	after, err := write(doc, file)
	if err != nil {
		return nil, err
	}
	return after, e.onlyChange(file, after, ours)
}

// write is the text of a kubeconfig, in the form of the file that it replaces:
// YAML, or JSON, which kubectl reads too.
func write(doc *yaml.Node, file []byte) ([]byte, error) {
	isJSON := json.Valid(file)
	if isJSON {
		asJSON(doc)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	enc.CompactSeqIndent() // as kubectl writes it
	if err := errors.Join(enc.Encode(doc), enc.Close()); err != nil {
		return nil, err
	}
	after := out.Bytes()
	if isJSON {
		var indented bytes.Buffer
		if err := json.Indent(&indented, after, "", "  "); err != nil {
			return nil, fmt.Errorf("it can't be written as JSON again: %w", err)
		}
		after = indented.Bytes()
	}
	return after, nil
}

// asJSON has a node written as JSON: on one line, which has no place for plain
// texts.
func asJSON(n *yaml.Node) {
	switch {
	case n.Kind != yaml.ScalarNode:
		n.Style = yaml.FlowStyle
	case n.Tag == "!!str":
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		asJSON(c)
	}
}

// onlyChange returns an error unless the entry is all in which two kubeconfigs
// differ, as a program reads them that knows nothing of ours. An entry that was
// ours keeps what people added to it.
func (e Entry) onlyChange(before, after []byte, ours bool) error {
	var want, got map[string]any
	if err := yaml.Unmarshal(before, &want); err != nil {
		return unreadable(err)
	}
	if err := yaml.Unmarshal(after, &got); err != nil {
		return unreadable(err)
	}
	users, _ := want["users"].([]any)
	entry := namedIn(users, e.User)
	if entry == nil {
		entry = map[string]any{"name": e.User}
		want["users"] = append(users, any(entry))
	}
	user, _ := entry["user"].(map[string]any)
	exec, _ := user["exec"].(map[string]any)
	if !ours || exec == nil {
		exec = map[string]any{}
		entry["user"] = map[string]any{"exec": exec}
	}
	exec["apiVersion"], exec["command"], exec["args"], exec["interactiveMode"] = apiVersion, e.Command, list(e.args()), interactive
	if exec["installHint"] == nil {
		exec["installHint"] = installHint
	}
	contexts, _ := want["contexts"].([]any)
	if c, ok := namedIn(contexts, e.Context)["context"].(map[string]any); ok {
		c["user"] = e.User
	}
	if !reflect.DeepEqual(want, got) {
		return errors.New("something in it would change that must not (an alias?)")
	}
	return nil
}

// namedIn returns the element of a list whose member name is this.
func namedIn(list []any, name string) map[string]any {
	for _, e := range list {
		if m, ok := e.(map[string]any); ok && m["name"] == name {
			return m
		}
	}
	return nil
}

func list(texts []string) (all []any) {
	for _, t := range texts {
		all = append(all, t)
	}
	return all
}

// parse reads a kubeconfig that has a context.
func parse(file []byte, context string) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // whatever the parser makes of garbage
			err = fmt.Errorf("it can't be read as YAML: %v", r)
		}
	}()
	doc = new(yaml.Node)
	dec := yaml.NewDecoder(bytes.NewReader(file))
	if err := dec.Decode(doc); err != nil {
		return nil, unreadable(err)
	}
	switch err := dec.Decode(new(yaml.Node)); {
	case err == nil:
		return nil, errors.New("it holds several documents")
	case !errors.Is(err, io.EOF):
		return nil, unreadable(err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is no kubeconfig")
	}
	contexts := member(doc.Content[0], "contexts")
	for _, list := range []*yaml.Node{contexts, member(doc.Content[0], "users")} {
		seen := map[string]bool{}
		for _, name := range names(list) {
			if seen[name] {
				return nil, fmt.Errorf("it has two entries of one list named %s, which kubectl refuses", name)
			}
			seen[name] = true
		}
	}
	if c := named(contexts, context); c == nil || member(c, "context") == nil || member(c, "context").Kind != yaml.MappingNode {
		return nil, &NoContextError{context, names(contexts)}
	}
	return doc, nil
}

// unreadable says in one line what is wrong with a file.
func unreadable(err error) error {
	return errors.New("it can't be read as YAML: " + strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
}

// fill has an exec section say what the entry does. What else is there stays, such
// as env and provideClusterInfo.
func (e Entry) fill(exec *yaml.Node) {
	put(exec, "apiVersion", text(apiVersion))
	put(exec, "command", text(e.Command))
	args := &yaml.Node{Kind: yaml.SequenceNode}
	for _, a := range e.args() {
		args.Content = append(args.Content, text(a))
	}
	put(exec, "args", args)
	put(exec, "interactiveMode", text(interactive))
	if member(exec, "installHint") == nil {
		put(exec, "installHint", text(installHint))
	}
}

func (e Entry) args() []string { return []string{"token", e.Profile, "-o", "exec-credential"} }

// is reports whether an exec section is what the entry says.
func (e Entry) is(exec *yaml.Node) bool {
	return scalar(member(exec, "apiVersion")) == apiVersion && scalar(member(exec, "command")) == e.Command &&
		scalar(member(exec, "interactiveMode")) == interactive && slices.Equal(texts(member(exec, "args")), e.args())
}

// isOurs reports whether a user entry runs cspctl for a credential.
func isOurs(entry *yaml.Node) bool {
	exec := member(member(entry, "user"), "exec")
	args := texts(member(exec, "args"))
	command := scalar(member(exec, "command"))
	command = command[strings.LastIndexAny(command, `/\`)+1:]
	return strings.TrimSuffix(command, ".exe") == "cspctl" && slices.Contains(args, "exec-credential")
}

// member returns the value of a key; nil if there is none.
func member(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			if v := m.Content[i+1]; v.Kind != yaml.AliasNode {
				return v
			}
			return m.Content[i+1].Alias
		}
	}
	return nil
}

// put sets the value of a key, in its place or at the end.
func put(m *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			value.HeadComment, value.LineComment, value.FootComment = m.Content[i+1].HeadComment, m.Content[i+1].LineComment, m.Content[i+1].FootComment
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, text(key), value)
}

// named returns the element of a list whose member name is this.
func named(list *yaml.Node, name string) *yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	for _, e := range list.Content {
		if scalar(member(e, "name")) == name {
			return e
		}
	}
	return nil
}

func names(list *yaml.Node) (all []string) {
	if list == nil {
		return nil
	}
	for _, e := range list.Content {
		if n := scalar(member(e, "name")); n != "" {
			all = append(all, n)
		}
	}
	return all
}

func texts(list *yaml.Node) (all []string) {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	for _, e := range list.Content {
		all = append(all, e.Value)
	}
	return all
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// text is a scalar that is read as a text, whatever is in it.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !plain.MatchString(s) || notText.MatchString(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// What stands for itself without quotes; and what is no text then, for kubectl's
// parser, which is of YAML 1.1 (https://yaml.org/type/bool.html).
var (
	plain   = regexp.MustCompile(`^-?[A-Za-z][A-Za-z0-9./_-]*$`)
	notText = regexp.MustCompile(`(?i)^(y|yes|n|no|true|false|on|off|null)$`)
)
