package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/secret"
)

const content = "the-content"

// Every way a value usually reaches an output, tried on each shape that can
// hold a secret.
func TestNothingPrintsTheContent(t *testing.T) {
	text, wire := secret.New(content), secret.NewWire(content)
	type holder struct {
		T  secret.Text
		P  *secret.Text
		M  map[string]secret.Text
		in secret.Text
	}
	values := []any{
		text, &text, []secret.Text{text}, map[string]secret.Text{"k": text},
		holder{text, &text, map[string]secret.Text{"k": text}, text},
		struct{ E error }{fmt.Errorf("with %v", text)},
	}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%p", "%t"}
	check := func(how, out string) {
		t.Helper()
		if strings.Contains(out, content) || strings.Contains(out, fmt.Sprintf("%x", content)) {
			t.Errorf("%s shows the content: %s", how, out)
		}
	}
	for _, v := range append(values, wire, &wire) {
		for _, verb := range verbs {
			check(verb, fmt.Sprintf(verb, v))
		}
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("x", "v", v, slog.Any("w", v))
		check(fmt.Sprintf("slog text %T", v), buf.String())
	}
	for _, v := range values {
		var buf bytes.Buffer
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "v", v)
		check(fmt.Sprintf("slog JSON %T", v), buf.String())
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		check(fmt.Sprintf("JSON %T", v), string(b))
	}
	check("errors.Join", errors.Join(fmt.Errorf("a %s", text), fmt.Errorf("b %w", fmt.Errorf("%s", wire))).Error())
}

func TestWireCarriesTheContentInJSON(t *testing.T) {
	b, err := json.Marshal(struct{ S secret.Wire }{secret.NewWire(content)})
	if err != nil || string(b) != `{"S":"`+content+`"}` {
		t.Fatalf("got %s, %v", b, err)
	}
	var back struct{ S secret.Wire }
	if err := json.Unmarshal(b, &back); err != nil || back.S.Reveal() != content {
		t.Fatalf("got %q, %v", back.S.Reveal(), err)
	}
}

func TestEqualAndZero(t *testing.T) {
	if !secret.New("a").Equal(secret.New("a")) || secret.New("a").Equal(secret.New("b")) || secret.New("a").Equal(secret.New("ab")) {
		t.Error("Equal")
	}
	if !secret.New("").IsZero() || secret.New("a").IsZero() || fmt.Sprint(secret.New("")) != "" {
		t.Error("IsZero")
	}
}
