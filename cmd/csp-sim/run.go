package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/sim"
)

// run serves until ctx ends. It returns the exit code: 0, 1 for a failure, 2
// for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "csp-sim: error:", err)
		return 2
	}
	if err := serve(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "csp-sim: error:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	s := sim.New(sim.Options{Life: o.life, Log: slog.New(slog.NewTextHandler(stderr, nil))})
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	base := "http://" + listener.Addr().String()
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(stderr, nil), slog.LevelDebug)}
	if o.tls {
		base = "https://" + listener.Addr().String()
		if server.TLSConfig, err = tlsConfig(o, listener); err != nil {
			return err
		}
	}
	secrets, err := makeTokens(s, o)
	if err != nil {
		return err
	}

	done := make(chan error, 1)
	go func() {
		if o.tls {
			done <- server.ServeTLS(listener, "", "")
		} else {
			done <- server.Serve(listener)
		}
	}()
	if o.readyFile != "" {
		if err := atomicfile.Write(o.readyFile, []byte(base+"\n")); err != nil {
			return errors.Join(err, server.Close())
		}
		defer func() { _ = os.Remove(o.readyFile) }()
	}
	fmt.Fprintln(stdout, base)
	for _, value := range secrets {
		fmt.Fprintln(stdout, value)
	}

	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	s.Release() // requests that hang would hold up the end
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		return server.Close()
	}
	return nil
}

func tlsConfig(o options, l net.Listener) (*tls.Config, error) {
	ca, err := sim.NewCA()
	if err != nil {
		return nil, err
	}
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(l.Addr().String()); err == nil && !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	cert, err := ca.Certificate(hosts...)
	if err != nil {
		return nil, err
	}
	if o.caOut != "" {
		if err := atomicfile.Write(o.caOut, ca.PEM()); err != nil {
			return nil, err
		}
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// makeTokens makes the accounts' API tokens, writes those that go to files and
// returns those to print.
func makeTokens(s *sim.Server, o options) (print []string, err error) {
	values := map[string]string{}
	for _, name := range o.accounts() {
		t, err := s.AddToken(o.apiToken(name))
		if err != nil {
			return nil, err
		}
		values[name] = t.Value
	}
	for _, a := range o.files {
		if err := atomicfile.Write(a.file, []byte(values[a.account]+"\n")); err != nil {
			return nil, err
		}
	}
	for _, name := range o.print {
		print = append(print, values[name])
	}
	return print, makeOthers(s, o)
}

// makeOthers makes the OAuth apps and what Cloud Director knows.
func makeOthers(s *sim.Server, o options) error {
	for _, a := range o.apps {
		app, err := s.AddApp(sim.App{Name: a.account})
		if err == nil {
			err = atomicfile.Write(a.file, []byte(app.ClientID+"\n"+app.Secret+"\n"))
		}
		if err != nil {
			return fmt.Errorf("-app %s: %w", a.account, err)
		}
	}
	for _, a := range o.vcdTokens {
		t, err := s.AddVCDToken(sim.VCDToken{Name: a.account, Org: a.org, Rotation: a.rotation})
		if err == nil {
			err = atomicfile.Write(a.file, []byte(t.Value+"\n"))
		}
		if err != nil {
			return fmt.Errorf("-vcd-token %s: %w", a.account, err)
		}
	}
	for _, a := range o.vcdUsers {
		u, err := s.AddVCDUser(sim.VCDUser{Name: a.account, Org: a.org})
		if err == nil {
			err = atomicfile.Write(a.file, []byte(u.Password+"\n"))
		}
		if err != nil {
			return fmt.Errorf("-vcd-user %s: %w", a.account, err)
		}
	}
	return nil
}
