//go:build unix

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/cspctl/cspctl/client"
)

// A source for programs that take one.
func ExampleClient_TokenSource() {
	c := client.New(client.Options{Profile: "prod", MinTTL: 10 * time.Minute})
	source := c.TokenSource(context.Background())

	token, err := source.Token()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Type(), "token of", token.Extra("profile"))
	// Output: Bearer token of prod
}

// For what keeps tokens by itself, as oauth2.NewClient does: it asks again when
// less than 5 minutes are left.
func ExampleClient_TokenSource_kept() {
	c := client.New(client.Options{})
	source := oauth2.ReuseTokenSourceWithExpiry(nil, c.TokenSource(context.Background()), 5*time.Minute)
	token, err := source.Token()
	fmt.Println(token.Valid(), err)
	// Output: true <nil>
}

// A client for a service that takes csp-auth-token, and for a host of one's own.
func ExampleTransport() {
	hc := &http.Client{Transport: &client.Transport{
		Client: client.New(client.Options{Profile: "prod"}),
		Header: client.CSPAuthToken,
		Hosts:  []string{"*.vmware.com", "proxy.example.com:8443"},
	}}
	_, err := hc.Get("https://elsewhere.example.com/orgs")
	fmt.Println(err)
	// Output: Get "https://elsewhere.example.com/orgs": cspctl: no token is sent to https://elsewhere.example.com (add the host to Transport.Hosts, and use https)
}

// What to do about an error depends on its kind, as with cspctl's exit code.
func ExampleError() {
	_, err := client.New(client.Options{Socket: "/nonexistent/agent.sock", NoStart: true}).Token(context.Background())
	if e, ok := errors.AsType[*client.Error](err); ok {
		switch e.ExitCode() {
		case 3, 4:
			fmt.Println("a person has to log in:", e.Hint)
		case 5, 6, 8:
			fmt.Println("it may pass")
		}
	}
	// Output: it may pass
}
