package agent_test

import (
	"testing"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// cached returns an agent with a token of prod in its cache.
func cached(tb testing.TB) *agent.Agent {
	c := newClock()
	a, err := agent.New(agent.Options{
		Providers:    map[string]agent.Provider{provider.CSP: newServer(c)},
		Stores:       map[string]agent.Store{provider.Memory: newStore()},
		DefaultStore: func() string { return provider.Memory },
		State:        &stateFile{}, Clock: c,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(a.Close)
	if _, err := a.Login(tb.Context(), "prod", as("x")); err != nil {
		tb.Fatal(err)
	}
	return a
}

func BenchmarkCached(b *testing.B) {
	a, ctx := cached(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Token(ctx, ipc.TokenRequest{Profile: "prod"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedParallel(b *testing.B) {
	a, ctx := cached(b), b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := a.Token(ctx, ipc.TokenRequest{Profile: "prod"}); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestP4CachedTokenAllocatesNothing(t *testing.T) {
	a, ctx := cached(t), t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = a.Token(ctx, ipc.TokenRequest{Profile: "prod"}) }); n > 0 {
		t.Errorf("%v allocations for a token from the cache", n)
	}
}
