package main

import (
	"context"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/metrics"
)

// remembered is an agent that knows expiries alone.
type remembered []ipc.ProfileExpiry

func (r remembered) Snapshot() ([]ipc.ProfileStatus, []ipc.ProfileExpiry, error) { return nil, r, nil }
func (remembered) Locked() (time.Time, bool)                                     { return time.Time{}, false }

func (remembered) StoreStates(context.Context) []ipc.StoreStatus { return nil }

// A rule or a dashboard is for the agent's page and for the file that cspctl
// writes: what both tell is named, typed, explained and labelled alike, and of
// the same value.
func TestFileAndPageAgree(t *testing.T) {
	odd := expires("odd", 10*day)
	odd.TokenName, odd.Refused = "a\\b \"c\"\nd \xff é", true
	off := expires("off", -day)
	off.Deactivated = true
	list := []ipc.ProfileExpiry{odd, off, is("forever", ipc.ExpiryNever), is("new", ipc.ExpiryUnknown), is("vcd", ipc.ExpiryNone)}
	r := shell{agent: reports(t, list...)}.run(t, "expiry", "-o", "prometheus")
	r.want(t, 0)
	m := metrics.New()
	m.Attach(remembered(list), nil)
	_, page, err := m.Page("")
	if err != nil {
		t.Fatal(err)
	}
	file, agents := families(t, r.stdout), families(t, string(page))
	if len(file) < 6 {
		t.Fatalf("the file has %d families", len(file))
	}
	for name, f := range file {
		p := agents[name]
		if p == nil {
			t.Errorf("the agent's page has no %s", name)
			continue
		}
		if p.GetType() != f.GetType() || p.GetHelp() != f.GetHelp() {
			t.Errorf("%s: %s %q in the file, %s %q on the page", name, f.GetType(), f.GetHelp(), p.GetType(), p.GetHelp())
		}
		inFile, onPage := values(f), values(p)
		for labels, v := range inFile {
			if w, ok := onPage[labels]; !ok || v != w {
				t.Errorf("%s%s is %v in the file, %v (%v) on the page", name, labels, v, w, ok)
			}
		}
		if len(inFile) != len(onPage) {
			t.Errorf("%s: %v in the file, %v on the page", name, inFile, onPage)
		}
	}
	// On the page alone: in a file it would stand still.
	if left := "csp_api_token_expires_in_seconds"; file[left] != nil || agents[left] == nil {
		t.Errorf("%s: file %v, page %v", left, file[left], agents[left])
	}
}

func families(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	got, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return got
}

// values returns what a family says by its labels.
func values(f *dto.MetricFamily) map[string]float64 {
	got := map[string]float64{}
	for _, m := range f.GetMetric() {
		labels := model.LabelSet{}
		for _, l := range m.GetLabel() {
			labels[model.LabelName(l.GetName())] = model.LabelValue(l.GetValue())
		}
		got[labels.String()] = m.GetGauge().GetValue()
	}
	return got
}
