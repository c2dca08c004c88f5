//go:build linux || darwin

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/launch"
	"github.com/cspctl/cspctl/internal/metrics"
	"github.com/cspctl/cspctl/internal/provider"
)

// The test binary is also the agent on its way to becoming a hook.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == launch.Verb {
		os.Exit(command("csp-agent", os.Args[1:]))
	}
	os.Exit(m.Run())
}

// What happens reaches those who read events, the metrics and the hook; the end
// of the agent ends the streams.
func TestTellers(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "") // no service manager: the hook is a child, wherever the test runs
	dir := t.TempDir()
	fifo := filepath.Join(dir, "hook")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	told, err := os.OpenFile(fifo, os.O_RDWR|syscall.O_NONBLOCK, 0) // for both, so that it has no end
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	text := fmt.Sprintf("[hook]\ncommand = [\"/bin/sh\", \"-c\", \"cat > %s\"]\nevents = [\"exchange\"]\n", fifo)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := loadSettings(files{config: filepath.Join(dir, "config.toml")}, log, new(slog.LevelVar))
	counted := metrics.New()
	tell := newTellers(counted, s, log)
	a, err := agent.New(agent.Options{
		Providers: s.providers(),
		Stores:    map[string]agent.Store{provider.Memory: keychain.NewMemory()},
		State:     stateFile(filepath.Join(dir, "state.json")), Clock: bootclock.Clock{}, Publish: tell.publish,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	tell.watchOver(a, s, log)
	counted.Attach(a, s.status)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { tell.run(ctx) })
	defer running.Wait()
	defer stop()

	server := httptest.NewServer(api.New(api.Options{Agent: a, Events: tell.events}))
	defer server.Close()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = ipc.Host
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stream := bufio.NewReader(resp.Body)
	if line, err := stream.ReadString('\n'); err != nil || line != "\n" {
		t.Fatalf("the stream begins with %q, %v", line, err)
	}

	tell.publish(ipc.Event{Schema: ipc.EventSchema, Type: ipc.EventExchange, Profile: "prod", Provider: provider.CSP, Outcome: ipc.OutcomeGranted})
	_ = told.SetReadDeadline(time.Now().Add(20 * time.Second))
	for name, from := range map[string]*bufio.Reader{"a reader of events": stream, "the hook": bufio.NewReader(told)} {
		line, err := from.ReadBytes('\n')
		var e ipc.Event
		if err != nil || json.Unmarshal(line, &e) != nil || e.Type != ipc.EventExchange || e.Profile != "prod" {
			t.Errorf("%s was told %q, %v", name, line, err)
		}
	}
	_, page, err := counted.Page("")
	if want := `csp_agent_exchanges_total{ahead="false",outcome="granted",profile="prod",provider="csp"} 1`; err != nil || !strings.Contains(string(page), want) {
		t.Errorf("the metrics have no %s, %v", want, err)
	}
	tell.close()
	if rest, err := io.ReadAll(stream); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
}
