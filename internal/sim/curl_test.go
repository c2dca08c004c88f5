package sim_test

import (
	"crypto/tls"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/sim"
)

// The forms in which public clients send the exchange, as curl commands.
func TestFormsOfRealClientsByCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed (apt-get install curl)")
	}
	s := sim.New(sim.Options{})
	token, err := s.AddToken(sim.APIToken{Name: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()
	authorize := server.URL + "/csp/gateway/am/api/auth/api-tokens/authorize"
	twoSlashes := server.URL + "//csp/gateway/am/api/auth/api-tokens/authorize"
	details := server.URL + "/csp/gateway/am/api/auth/api-tokens/details"

	for _, c := range []struct {
		client     string
		args       []string
		want       string
		violations int
	}{
		{"documentation", []string{"-d", "api_token=" + token.Value, authorize}, `"access_token"`, 0},
		{"tanzu CLI, marketplace CLI", []string{"--data-urlencode", "refresh_token=" + token.Value, authorize}, `"access_token"`, 0},
		{"Terraform vmc and nsxt", []string{"-d", "refresh_token=" + token.Value, authorize}, `"access_token"`, 0},
		{"Carbon Black SDK", []string{"--data-urlencode", "api_token=" + token.Value, authorize}, `"scope":"ALL_PERMISSIONS`, 0},
		{"Image Builder action", []string{"-d", "grant_type=refresh_token&api_token=" + token.Value, authorize}, `"access_token"`, 0},
		{"Wavefront SDK", []string{"--path-as-is", "-H", "Accept: application/json", "-d", "api_token=" + token.Value, twoSlashes}, `"expires_in":1799`, 0},
		{"pyVMC, in the query", []string{"-X", "POST", authorize + "?api_token=" + token.Value}, `"access_token"`, 2}, // and no Content-Type
		{"PowerShell module", []string{"-H", "accept: application/json", "-d", "refresh_token=" + token.Value, authorize}, `"token_type":"bearer"`, 0},
		{"details", []string{"-H", "Content-Type: application/json", "-d", `{"tokenValue":"` + token.Value + `"}`, details}, `"expiresAt":`, 0},
		{"details, as in a well-known blog", []string{"-H", "Content-Type: application/json", "-d", `{tokenValue=` + token.Value + `}`, details}, `Invalid request body`, 0},
		{"VMC SDK: GET with a body", []string{"-X", "GET", "-d", "{}", server.URL + "/csp/gateway/am/api/auth/token-public-key"}, "BEGIN PUBLIC KEY", 0},
	} {
		t.Run(c.client, func(t *testing.T) {
			s.ResetStats()
			args := append([]string{"-sS", "--noproxy", "*", "--max-time", "20", "--cacert", caFile}, c.args...)
			out, err := exec.CommandContext(t.Context(), curl, args...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("got %v, %s", err, out)
			}
			if v := s.Stats().Violations; len(v) != c.violations {
				t.Errorf("violations %v", v)
			}
		})
	}
}
