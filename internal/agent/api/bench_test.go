package api_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/cspctl/cspctl/internal/agent/api"
)

func BenchmarkToken(b *testing.B) {
	for _, c := range []struct {
		name  string
		audit bool
	}{{"with the audit log", true}, {"without", false}} {
		b.Run(c.name, func(b *testing.B) {
			s := newServer(b, api.Owner, func(o *api.Options) {
				if c.audit {
					o.Audit = api.NewAudit(filepath.Join(b.TempDir(), "audit.jsonl"), slog.New(slog.DiscardHandler))
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(s, "GET", "/v1/token?profile=prod", "", "Accept", "text/plain"); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
