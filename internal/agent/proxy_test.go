package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// director is a rotating server that has proxy tokens.
type director struct {
	*rotator
	asked   int
	expired string // the bearer token whose session has ended
}

func (d *director) ProxyToken(_ context.Context, c provider.Credential, bearer secret.Text) (provider.ProxyToken, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !c.Secret.IsZero() {
		return provider.ProxyToken{}, fmt.Errorf("the stored secret went along")
	}
	if bearer.Reveal() == d.expired {
		return provider.ProxyToken{}, &provider.Error{Class: provider.Refused, Status: 401, Message: "its session has ended"}
	}
	d.asked++
	return provider.ProxyToken{Token: secret.New(fmt.Sprint("proxy-", d.asked)), Type: "PROXY", ExpiresAt: d.clock.Now().Wall.Add(10 * time.Minute)}, nil
}

func inDirector(t *testing.T, f func(t *testing.T, w *world, d *director)) {
	t.Helper()
	inRotation(t, func(t *testing.T, w *world) {
		d := &director{rotator: w.rotator}
		w.provider = d
		w.restart()
		f(t, w, d)
	})
}

func (w *world) proxy() (string, error) { return w.ask(ipc.TokenRequest{Kind: ipc.KindProxy}) }

func TestProxyTokenIsCachedUntilItsEnd(t *testing.T) {
	inDirector(t, func(t *testing.T, w *world, d *director) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if tok, err := w.proxy(); err != nil || tok != "proxy-1" {
					t.Errorf("%q, %v", tok, err)
				}
			})
		}
		wg.Wait()
		time.Sleep(6 * time.Minute)
		if tok, err := w.proxy(); err != nil || tok != "proxy-1" {
			t.Errorf("with more than a third of its life left: %q, %v", tok, err)
		}
		time.Sleep(time.Minute)
		if tok, err := w.proxy(); err != nil || tok != "proxy-2" {
			t.Errorf("with less: %q, %v", tok, err)
		}
		_, err := w.ask(ipc.TokenRequest{Kind: ipc.KindProxy, MinTTL: "11m"})
		w.mustFail(err, ipc.CodeMinTTL)
	})
}

func TestProxyTokenOfASessionThatHasEnded(t *testing.T) {
	inDirector(t, func(t *testing.T, w *world, d *director) {
		d.expired = w.mustToken("")
		if tok, err := w.proxy(); err != nil || tok != "proxy-1" {
			t.Errorf("%q, %v", tok, err)
		}
	})
}

func TestNoProxyTokenElsewhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, err := w.proxy()
		w.mustFail(err, ipc.CodeBadRequest)
	})
}
