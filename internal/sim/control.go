package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// controlRoutes is the control plane over HTTP. None of its requests is
// counted, delayed or spoiled.
func (s *Server) controlRoutes() {
	s.mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Stats()) })
	s.mux.HandleFunc("DELETE /_sim/stats", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetStats()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("GET /_sim/wait", s.controlWait)
	s.mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Faults()) })
	s.mux.HandleFunc("POST /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if readJSON(w, r, &f) {
			s.AddFault(f)
			writeJSON(w, http.StatusOK, s.Faults())
		}
	})
	s.mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("POST /_sim/release", func(w http.ResponseWriter, _ *http.Request) {
		s.Release()
		w.WriteHeader(http.StatusNoContent)
	})
	control(s, "tokens", s.tokens, func(t *token) APIToken { return t.APIToken }, s.putToken)
	control(s, "apps", s.apps, func(a *app) App { return a.App }, s.putApp)
	control(s, "vcd-tokens", s.vcd.tokens, func(t *vcdToken) VCDToken { return t.VCDToken }, s.putVCDToken)
	control(s, "vcd-users", s.vcd.users, func(u *vcdUser) VCDUser { return u.VCDUser }, s.putVCDUser)
	s.mux.HandleFunc("DELETE /_sim/vcd-sessions", func(w http.ResponseWriter, _ *http.Request) {
		s.EndSessions()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("POST /_sim/vcd-versions", func(w http.ResponseWriter, r *http.Request) {
		var list []string
		if readJSON(w, r, &list) {
			s.SetVCDVersions(list...)
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// control adds the routes for one kind of account: to list the names, to lay
// the fields that are sent over the account of that name, and to remove one.
// show and put are called under s.mu.
func control[T, A any](s *Server, kind string, all map[string]A, show func(A) T, put func(T) (T, error)) {
	s.mux.HandleFunc("GET /_sim/"+kind, func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		names := slices.AppendSeq([]string{}, maps.Keys(all))
		slices.Sort(names)
		writeJSON(w, http.StatusOK, names)
	})
	s.mux.HandleFunc("DELETE /_sim/"+kind+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !remove(s, all, r.PathValue("name")) {
			http.Error(w, "no such name", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("POST /_sim/"+kind, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		var named struct {
			Name string `json:"name"`
		}
		if err == nil {
			err = json.Unmarshal(body, &named)
		}
		if err != nil {
			http.Error(w, "not JSON: "+err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		var t T
		if old, ok := all[named.Name]; ok {
			t = show(old)
		}
		if err = strictJSON(body, &t); err == nil {
			t, err = put(t)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusOK, t)
	})
}

func remove[A any](s *Server, all map[string]A, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := all[name]
	delete(all, name)
	return ok
}

// controlWait answers once as many requests have arrived as the query asks
// for, or with 504 after its timeout (default 10 s).
func (s *Server) controlWait(w http.ResponseWriter, r *http.Request) {
	timeout := 10 * time.Second
	exchanges, details, granted := 0, 0, 0
	q := r.URL.Query()
	var errs []error
	read := func(name string, parse func(string) error) {
		if v := q.Get(name); v != "" {
			errs = append(errs, parse(v))
		}
	}
	read("timeout", func(v string) (err error) { timeout, err = time.ParseDuration(v); return })
	read("exchanges", func(v string) (err error) { exchanges, err = strconv.Atoi(v); return })
	read("details", func(v string) (err error) { details, err = strconv.Atoi(v); return })
	read("granted", func(v string) (err error) { granted, err = strconv.Atoi(v); return })
	if err := errors.Join(errs...); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	if err := s.wait(ctx, func(st *Stats) bool {
		return st.Exchanges >= exchanges && st.Details >= details && st.Granted >= granted
	}); err != nil {
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
		return
	}
	writeJSON(w, http.StatusOK, s.Stats())
}

func readJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil {
		err = strictJSON(body, v)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	a := jsonAnswer(status, v)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(append(a.body, '\n'))
}

// strictJSON refuses unknown fields: a fault with a typo would never come.
func strictJSON(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
