//go:build unix

package e2e_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/cspctl/cspctl/internal/sim"
	"github.com/cspctl/cspctl/internal/tools"
)

// The README and the protocol are true: every command in their blocks runs,
// in order, unchanged. The hosts that they name are played by the simulator,
// behind a proxy, as they are for people in offices.
func TestEveryCommandOfTheDocsRuns(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	for _, doc := range []string{"README.md", "docs/protocol.md", "docs/monitoring.md"} {
		t.Run(filepath.Base(doc), func(t *testing.T) {
			w, secrets := newOffice(t)
			if doc != "README.md" { // it goes on where the README ends
				if err := os.WriteFile(w.dir+"/prod.token", []byte(secrets["prod"]), 0o600); err != nil {
					t.Fatal(err)
				}
				w.url = "https://console.cloud.vmware.com"
				if out, err := w.login("prod", "prod.token"); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			b, err := os.ReadFile(filepath.Join("..", doc))
			if err != nil {
				t.Fatal(err)
			}
			script := commandsOf(string(b))
			if strings.Count(script, "\n") < 4 {
				t.Fatalf("hardly a command was found: %q", script)
			}
			runInTerminal(t, w, script, secrets)
		})
	}
}

// commandsOf returns the lines of all sh blocks, but for those that build the
// product, which the tests have done.
func commandsOf(doc string) string {
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(doc, -1) {
		for line := range strings.Lines(block[1]) {
			if !strings.HasPrefix(line, "make ") {
				script.WriteString(line)
			}
		}
	}
	// The table of the systems, each row a line or two.
	_, systems, _ := strings.Cut(doc, "### Systems\n")
	systems, _, _ = strings.Cut(systems, "\n#")
	for _, code := range regexp.MustCompile("`(cspctl (?:login|token) [^`]*)`").FindAllStringSubmatch(systems, -1) {
		script.WriteString(code[1] + "\n")
	}
	return script.String()
}

// newOffice is a world in which the real hosts' names lead to the simulator.
// It returns what a person would enter, by profile.
func newOffice(t *testing.T) (*world, map[string]string) {
	t.Helper()
	w := worldFor(t)
	s := sim.New(sim.Options{})
	secrets := accounts(t, s)
	if err := os.WriteFile(w.dir+"/lab.token", []byte(secrets["lab"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate("console.cloud.vmware.com", "vmc.vmware.com", "console.tanzu.broadcom.com", "vcd.example.com")
	if err != nil {
		t.Fatal(err)
	}
	roots := w.dir + "/roots.pem"
	if err := os.WriteFile(roots, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	console := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Host != "vmc.vmware.com" {
			s.ServeHTTP(rw, r)
		} else if jwt := r.Header.Get("csp-auth-token") + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); strings.Count(jwt, ".") == 2 && r.URL.Path == "/vmc/api/orgs" {
			fmt.Fprintln(rw, "[]")
		} else {
			http.Error(rw, "no access token", http.StatusUnauthorized)
		}
	}))
	console.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	console.StartTLS()
	t.Cleanup(console.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		connect(rw, r, console.Listener.Addr().String())
	}))
	t.Cleanup(proxy.Close)

	w.env = append(w.env, "HTTPS_PROXY="+proxy.URL, "https_proxy="+proxy.URL, "SSL_CERT_FILE="+roots, "CURL_CA_BUNDLE="+roots)
	// Terraform, as far as it exchanges an API token.
	programs := w.dir + "/programs"
	terraform := "#!/bin/sh\nexec curl -q -sf -o /dev/null -d refresh_token=$API_TOKEN $CSP_URL/csp/gateway/am/api/auth/api-tokens/authorize\n"
	if err := errors.Join(os.Mkdir(programs, 0o700), os.WriteFile(programs+"/terraform", []byte(terraform), 0o700)); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "PATH="+programs+":"+bin+":"+os.Getenv("PATH"))
	// The default of the README is the keychain; the memory serves as well here.
	config := w.dir + "/home/.config/cspctl"
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config+"/config.toml", []byte("store = \"memory\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	return w, secrets
}

// accounts makes the accounts that the README speaks of.
func accounts(t *testing.T, s *sim.Server) map[string]string {
	t.Helper()
	secrets := map[string]string{}
	keep := func(name, secret string, err error) {
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = secret
	}
	for _, a := range []sim.APIToken{{Name: "prod"}, {Name: "lab"}, {Name: "tanzu"}, {Name: "mfa", Passcode: "123456"}} {
		a, err := s.AddToken(a)
		keep(a.Name, a.Value, err)
	}
	app, err := s.AddApp(sim.App{Name: "app", ClientID: "ci-app"})
	keep("app", app.Secret, err)
	acme, err := s.AddVCDToken(sim.VCDToken{Name: "acme"})
	keep("acme", acme.Value, err)
	sa, err := s.AddVCDToken(sim.VCDToken{Name: "sa", Rotation: sim.RotationAlways})
	keep("sa", sa.Value, err)
	jo, err := s.AddVCDUser(sim.VCDUser{Name: "jo"})
	keep("jo", jo.Password, err)
	return secrets
}

// connect joins the client with the simulator, whatever host it asked for.
func connect(rw http.ResponseWriter, r *http.Request, to string) {
	if r.Method != http.MethodConnect {
		http.Error(rw, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
	_ = client.Close()
}

// runInTerminal runs a script as a person would type it, and answers the
// question for the API token.
func runInTerminal(t *testing.T, w *world, script string, secrets map[string]string) {
	t.Helper()
	const end = "all commands ran"
	// fail stops the session at the first command that fails; curl does with -f.
	c := exec.Command("bash", "-c", "set -e; curl() { command curl -f \"$@\"; }\n"+script+"\necho '"+end+"'")
	c.Env, c.Dir = append(w.env, "TERM=xterm"), w.dir
	tty, err := pty.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var out bytes.Buffer
	answered := 0
	question := regexp.MustCompile(`for profile (\w+): `)
	buf := make([]byte, 4096)
	for {
		n, err := tty.Read(buf)
		out.Write(buf[:n])
		if asked := question.FindAllSubmatch(out.Bytes(), -1); len(asked) > answered {
			_, _ = io.WriteString(tty, secrets[string(asked[answered][1])]+"\n")
			answered++
		}
		if err != nil { // the terminal is gone with the session
			break
		}
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), end) {
		t.Errorf("%v\n%s", err, out.String())
	}
	for name, secret := range secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the secret of %s was shown:\n%s", name, out.String())
		}
	}
}

// The tools of the README's table are those of exec's.
func TestReadmeKnowsEachTool(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, tool := range tools.Known() {
		known[tool.Name] = true
	}
	for _, m := range regexp.MustCompile(`--for ([a-z-]+)`).FindAllStringSubmatch(string(b), -1) {
		if !known[m[1]] && m[1] != "list" {
			t.Errorf("there is no tool %s", m[1])
		}
	}
	for _, name := range []string{"terraform-vmc", "terraform-nsxt", "terraform-tmc", "tanzu", "mkpcli", "wavefront", "carbonblack", "vib", "pyvmc", "vdk"} {
		if !known[name] || !strings.Contains(string(b), "--for "+name+" ") {
			t.Errorf("%s is not in the README's table", name)
		}
	}
}
