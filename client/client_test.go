//go:build unix

package client_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/cspctl/cspctl/client"
)

func TestToken(t *testing.T) {
	a, c := newAgent(t, client.Options{Profile: "dying", MinTTL: 10 * time.Minute})
	token, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken != "token-0" || token.Type() != "Bearer" || !token.Valid() || time.Until(token.Expiry) > 31*time.Minute {
		t.Errorf("%s %v", token.Type(), token.Expiry)
	}
	if token.Extra("profile") != "prod" || token.Extra("provider") != "csp" || token.Extra("warning") != "API token of dying expires in 3 days" {
		t.Errorf("%v, %v, %v", token.Extra("profile"), token.Extra("provider"), token.Extra("warning"))
	}
	if got := a.requests(); len(got) != 1 || got[0] != "profile=dying&min_ttl=10m0s&warnings=always" {
		t.Errorf("asked for %q", got)
	}
}

func TestProfileOfTheEnvironment(t *testing.T) {
	a, c := newAgent(t, client.Options{})
	t.Setenv("CSPCTL_PROFILE", "lab")
	if _, err := c.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.requests(); !strings.HasPrefix(got[0], "profile=lab&") {
		t.Errorf("asked for %q", got)
	}
}

// What package oauth2 does not know the end of, it keeps for ever.
func TestTokenOfUnknownLifeIsNotKept(t *testing.T) {
	_, c := newAgent(t, client.Options{Profile: "endless"})
	token, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(token.Expiry); left > time.Minute || left < 50*time.Second {
		t.Errorf("it is said to have %v left", left)
	}
}

func TestErrors(t *testing.T) {
	a, c := newAgent(t, client.Options{Profile: "dead"})
	a.set(func() {
		a.refuse["dead"] = `{"code":"credential_refused","message":"the API token expired","hint":"make a new one","retry_in":60}`
	})
	_, err := c.Token(t.Context())
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Code != "credential_refused" || e.Message != "the API token expired" || e.Hint != "make a new one" || e.Retry != time.Minute || e.ExitCode() != 4 {
		t.Errorf("%#v", err)
	}
	if err.Error() != "cspctl: the API token expired (make a new one)" {
		t.Error(err)
	}

	_, err = client.New(client.Options{Socket: "/nonexistent/agent.sock", NoStart: true}).Token(t.Context())
	e, ok = errors.AsType[*client.Error](err)
	if !ok || e.Code != "agent_unreachable" || e.ExitCode() != 6 || e.Hint == "" {
		t.Errorf("%#v", err)
	}
}

// A context ends the wait, and not the agent's patience.
func TestContext(t *testing.T) {
	a, c := newAgent(t, client.Options{})
	a.set(func() { a.hang = make(chan struct{}) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-a.hangs
		cancel()
	}()
	if _, err := c.TokenSource(ctx).Token(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(a.hang)
	if _, err := c.TokenSource(ctx).Token(); !errors.Is(err, context.Canceled) || len(a.requests()) != 1 {
		t.Errorf("%v, and the agent was asked again", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	_, c := newAgent(t, client.Options{})
	source := c.TokenSource(t.Context())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if token, err := source.Token(); err != nil || token.AccessToken != "token-0" {
				t.Error(token, err)
			}
		})
	}
	wg.Wait()
}

// The two ways to have package oauth2 hold a token: as long as it lives, and as
// the documentation of TokenSource says.
func TestReuseTokenSource(t *testing.T) {
	a, c := newAgent(t, client.Options{})
	source := oauth2.ReuseTokenSourceWithExpiry(nil, c.TokenSource(t.Context()), 5*time.Minute)
	for range 3 {
		if _, err := source.Token(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("%d requests for a token with 30 minutes left", n)
	}
	source = oauth2.ReuseTokenSourceWithExpiry(nil, c.TokenSource(t.Context()), time.Hour)
	for range 3 {
		if _, err := source.Token(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.requests()); n != 4 {
		t.Errorf("%d requests; each token had less than an hour left", n-1)
	}
}
