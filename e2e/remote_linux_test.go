package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

// needsSSHD returns where sshd is; it wants an absolute path.
func needsSSHD(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skip("needs sshd (make deps; it is in the Debian package openssh-server)")
	return ""
}

// remote is a machine with two users, who are on two machines as far as they
// can tell: jo has an agent, and dev is whom jo is elsewhere.
type remote struct {
	*machine
	jo     *systemdtest.User
	blocks map[string][]string
}

// newRemote does what docs/remote.md says up to the agent's restart, and logs
// in.
func newRemote(t *testing.T) *remote {
	t.Helper()
	r := &remote{machine: newMachine(t, "prod", "lab"), blocks: map[string][]string{}}
	r.putShipped(t, "/usr/local/bin")
	r.jo = r.User(t, "jo")
	for _, b := range blocksOf(t, "remote.md") {
		r.blocks[b.kind] = append(r.blocks[b.kind], strings.ReplaceAll(b.text, "1000", fmt.Sprint(r.jo.UID)))
	}
	if len(r.blocks["toml"]) != 1 || len(r.blocks["sh here"]) != 2 || len(r.blocks["sh there"]) != 1 || len(r.blocks["ssh-config"]) != 1 {
		t.Fatalf("blocks: %v", r.blocks)
	}
	r.jo.Exec(t, "mkdir", "-p", ".config/cspctl")
	r.Put(t, r.jo.Home+"/.config/cspctl/config.toml", []byte("store = \"memory\"\n"+r.blocks["toml"][0]), 0o644)
	r.jo.Exec(t, "csp-agent", "install")
	r.jo.Exec(t, "sh", "-ec", r.blocks["sh here"][0])
	r.Exec(t, "install", "-o", "jo", "-m", "600", "/root/prod.token", "/root/lab.token", r.jo.Home)
	r.jo.Exec(t, "cspctl", "login", "lab", "--server", r.url, "--token-file", "lab.token")
	r.jo.Exec(t, "cspctl", "login", "prod", "--server", r.url, "--token-file", "prod.token")
	r.jo.Exec(t, "rm", "prod.token", "lab.token")
	if err := within(10*time.Second, func() error {
		return r.jo.Command(t.Context(), "test", "-S", r.jo.RuntimeDir()+"/csp-agent-token/token.sock").Run()
	}); err != nil {
		t.Fatalf("the token socket: %v\n%s", err, r.jo.Exec(t, "journalctl", "--user", "--no-pager", "-u", "csp-agent"))
	}
	return r
}

// sshd starts one for dev alone, whom jo reaches as build.example.com.
func (r *remote) sshd(t *testing.T, exe string) {
	t.Helper()
	r.Exec(t, "sh", "-ec", `id sshd >/dev/null 2>&1 || useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd
mkdir -p -m 755 /run/sshd /etc/test-sshd
useradd --create-home --shell /bin/sh --password '*' dev
ssh-keygen -q -t ed25519 -N "" -f /etc/test-sshd/host
cat >/etc/test-sshd/config <<END
ListenAddress 127.0.0.1:2222
HostKey /etc/test-sshd/host
UsePAM no
PasswordAuthentication no
AllowUsers dev
PidFile none
StreamLocalBindUnlink yes
END`)
	r.jo.Exec(t, "sh", "-ec", `mkdir -m 700 .ssh
ssh-keygen -q -t ed25519 -N "" -f .ssh/id
cat >.ssh/config <<END
Host build.example.com
  HostName 127.0.0.1
  Port 2222
  IdentityFile ~/.ssh/id
  StrictHostKeyChecking accept-new
  BatchMode yes
END`)
	r.Exec(t, "sh", "-ec", `install -d -o dev -m 700 /home/dev/.ssh; install -o dev -m 600 /home/jo/.ssh/id.pub /home/dev/.ssh/authorized_keys`)
	r.Exec(t, "systemd-run", "--quiet", "--unit=test-sshd", exe, "-D", "-e", "-f", "/etc/test-sshd/config")
	if err := within(15*time.Second, func() error {
		out, err := r.jo.Command(t.Context(), "ssh", "dev@build.example.com", "true").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}); err != nil {
		t.Fatalf("%v\n%s", err, r.Exec(t, "journalctl", "--no-pager", "-u", "test-sshd"))
	}
}

// The socket goes over ssh, as docs/remote.md has it: on the other side there
// are access tokens of one profile, for as long as the connection lasts.
func TestP1TokenSocketOverSSH(t *testing.T) {
	t.Parallel()
	exe := needsSSHD(t)
	r := newRemote(t)
	r.sshd(t, exe)
	job := "#!/bin/sh -e\n" + r.blocks["sh there"][0] + `
try() { if said=$("$@" 2>&1); then code=0; else code=$?; fi; echo "$code $*: $said" | head -n 1; }
echo "token $CSP_AUTH"
try cspctl token lab
try cspctl status
try cspctl details prod
try cspctl logout prod
try cspctl login mine --token-file /dev/null
try cspctl profile remove prod --yes
try cspctl lock
stat -c '%U %a' "$CSP_AGENT_SOCK"
touch ready
while [ ! -e go ]; do sleep 0.1; done
env
`
	r.Put(t, "/home/dev/job", []byte(job), 0o755)
	r.Exec(t, "chown", "dev:", "/home/dev/job")

	cmd := r.jo.Command(t.Context(), "sh", "-ec", r.blocks["sh here"][1])
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := within(40*time.Second, func() error {
		select {
		case err := <-ended:
			return errStop{fmt.Errorf("it ended: %v", err)}
		default:
			return r.Command(t.Context(), "test", "-e", "/home/dev/ready").Run()
		}
	}); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	// root there is not dev, and says so if it wants to be served.
	const socket = "CSP_AGENT_SOCK=/home/dev/.csp/token.sock"
	uid := strings.TrimSpace(r.Exec(t, "id", "-u", "dev"))
	out, err := r.Command(t.Context(), "env", socket, "CSPCTL_AUTOSTART=0", "cspctl", "token", "prod").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another user (uid "+uid+") listens") {
		t.Errorf("root on the other side: %v: %s", err, out)
	}
	if got := r.Exec(t, "env", socket, "CSP_AGENT_UID="+uid, "cspctl", "token", "prod"); !isToken(got) {
		t.Errorf("with CSP_AGENT_UID: %q", got)
	}
	r.Exec(t, "touch", "/home/dev/go")
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}

	for _, want := range []string{"token eyJ", "3 cspctl token lab: ", "6 cspctl status: ", "6 cspctl details prod: ", "6 cspctl logout prod: ",
		"6 cspctl login mine", "6 cspctl profile remove prod --yes: ", "6 cspctl lock: ", "dev 600\n"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not said: %q", want)
		}
	}
	if t.Failed() {
		t.Log(said.String())
	}
	// Nothing is left, and of the API tokens nothing was there.
	if err := within(10*time.Second, func() error {
		if left, _ := r.Command(t.Context(), "pgrep", "-a", "-u", "dev").Output(); len(left) != 0 {
			return fmt.Errorf("left: %s", left)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	out, err = r.Command(t.Context(), "runuser", "-u", "dev", "--", "env", socket, "CSPCTL_AUTOSTART=0", "cspctl", "token", "prod").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no agent answers at") {
		t.Errorf("after the connection: %v: %s", err, out)
	}
	for _, account := range []string{"prod", "lab"} {
		secret := strings.TrimSpace(string(r.tokenOf(t, account)))
		if strings.Contains(said.String(), secret) || r.Exec(t, "sh", "-c", `grep -rlF "$1" /home/dev || true`, "sh", secret) != "" {
			t.Errorf("the API token of %s is on the other side", account)
		}
	}
	if got := r.jo.Exec(t, "sh", "-c", "cat .local/state/cspctl/audit.jsonl"); !strings.Contains(got, `"program":"/usr/bin/ssh"`) && !strings.Contains(got, `"program":"ssh"`) {
		t.Errorf("who asked is not on record:\n%s", got)
	}
	// A second time: the file that the first session left is in nobody's way.
	r.Put(t, "/home/dev/job", []byte("#!/bin/sh -e\n"+r.blocks["sh there"][0]+"echo \"token $CSP_AUTH\"\n"), 0o755)
	if got := r.jo.Exec(t, "sh", "-ec", r.blocks["sh here"][1]); !strings.Contains(got, "token eyJ") {
		t.Errorf("once more: %s", got)
	}
	// Where sshd does not remove it, the option of that name in ssh is no help.
	r.Exec(t, "sh", "-ec", "sed 's/2222/2223/; /^StreamLocalBindUnlink/d' /etc/test-sshd/config >/etc/test-sshd/second")
	r.Exec(t, "systemd-run", "--quiet", "--unit=test-sshd-second", exe, "-D", "-e", "-f", "/etc/test-sshd/second")
	second := strings.Replace(strings.TrimSpace(r.blocks["sh here"][1]), "ssh -o Exit", "ssh -p 2223 -o StrictHostKeyChecking=no -o StreamLocalBindUnlink=yes -o Exit", 1)
	if err := within(15*time.Second, func() error {
		out, _ := r.jo.Command(t.Context(), "sh", "-c", second).CombinedOutput()
		if strings.Contains(string(out), "remote port forwarding failed") {
			return nil
		}
		return fmt.Errorf("%s", out)
	}); err != nil {
		t.Errorf("a file in the way: %v", err)
	}
	r.Exec(t, "rm", "/home/dev/.csp/token.sock")
	if got := r.jo.Exec(t, "sh", "-ec", second); !strings.Contains(got, "token eyJ") {
		t.Errorf("the file removed by hand: %s", got)
	}
	// And by the lines for ssh_config(5).
	r.Put(t, r.jo.Home+"/.ssh/more", []byte("Include config\n"+r.blocks["ssh-config"][0]), 0o644)
	if got := r.jo.Exec(t, "ssh", "-F", ".ssh/more", "dev@build.example.com", "./job"); !strings.Contains(got, "token eyJ") {
		t.Errorf("by ssh_config: %s", got)
	}
}
