package e2e_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// engine stands in for docker and podman: what it runs has the namespaces that
// they give it, an image with nothing but cspctl, and the folder. podman without
// root makes a user namespace, in which its user is root.
const engine = `#!/bin/sh -e
shift # run
vars= as=0 groups=
while :; do
	case $1 in
	--rm) shift ;;
	-v) from=${2%%:*} to=${2#*:} to=${to%%:*}; shift 2 ;;
	-e) vars="$vars $2"; shift 2 ;;
	--user) as=$2; shift 2 ;;
	--group-add) groups=$2; shift 2 ;;
	IMAGE) shift; break ;;
	*) echo "what is $1?" >&2; exit 125 ;;
	esac
done
user=
[ "${0##*/}" = docker ] || user="--user --map-root-user"
export from to groups
exec unshare $user --mount --pid --fork --net --ipc --uts sh -ec '
	mount --bind "$from" "/srv/image$to"
	mount -o remount,bind,ro "/srv/image$to"
	as=$1 vars=$2; shift 2
	exec env -i PATH=/usr/sbin:/usr/bin:/bin $vars chroot ${as:+--userspec=$as:$as} ${as:+--groups=$groups} /srv/image "$@"' sh "$([ -n "$user" ] || echo $as)" "$vars" "$@"
`

// The socket in containers, as docs/remote.md has it, with the two uids that
// each side sees.
func TestP1TokenSocketInContainers(t *testing.T) {
	r := newRemote(t)
	r.Exec(t, "mkdir", "-p", "/srv/image/bin", "/srv/image/run/csp")
	r.Exec(t, "cp", "/usr/local/bin/cspctl", "/srv/image/bin/")
	for _, name := range []string{"docker", "podman"} {
		r.Put(t, "/usr/local/bin/"+name, []byte(engine), 0o755)
		if len(r.blocks["sh "+name]) != 1 {
			t.Fatalf("blocks of %s: %q", name, r.blocks["sh "+name])
		}
	}
	r.Exec(t, "useradd", "--create-home", "dev")
	dev := strings.TrimSpace(r.Exec(t, "id", "-u", "dev"))
	docker, podman := r.blocks["sh docker"][0], r.blocks["sh podman"][0]
	asRoot := strings.Replace(docker, fmt.Sprintf("--user %d ", r.jo.UID), "", 1)
	own, another := fmt.Sprint("CSP_AGENT_UID=", r.jo.UID), "CSP_AGENT_UID=65534"

	root := func(script string) *exec.Cmd { return r.Command(t.Context(), "sh", "-ec", script) }
	jo := func(script string) *exec.Cmd { return r.jo.Command(t.Context(), "sh", "-ec", script) }
	// A container of dev's; root has mounted the folder, which dev can't reach.
	r.Exec(t, "mkdir", "/srv/folder")
	r.Exec(t, "mount", "--bind", r.jo.RuntimeDir()+"/csp-agent-token", "/srv/folder")
	devs := func(script string) *exec.Cmd {
		return r.Command(t.Context(), "runuser", "-u", "dev", "--", "sh", "-ec", strings.Replace(script, r.jo.RuntimeDir()+"/csp-agent-token", "/srv/folder", 1))
	}
	with := func(script, variable string) string {
		return strings.Replace(script, " -e ", " -e "+variable+" -e ", 1)
	}
	gets := func(what string, cmd *exec.Cmd) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil || !isToken(string(out)) {
			t.Errorf("%s: %v: %s", what, err, out)
		}
	}
	refused := func(what string, cmd *exec.Cmd, want string) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "eyJ") {
			t.Errorf("%s: %v: %s", what, err, out)
		}
	}
	gets("docker, jo's uid", root(docker))
	gets("podman of jo", jo(podman))
	for _, command := range []string{"cspctl status", "cspctl logout prod", "cspctl lock"} {
		refused("podman, "+command, jo(strings.Replace(podman, "cspctl token prod", command, 1)), "this socket gives tokens and nothing else")
	}
	refused("podman, a profile that is not listed", jo(strings.Replace(podman, "token prod", "token lab", 1)), "does not exist or is not for this user")
	refused("docker, root", root(asRoot), fmt.Sprintf("another user (uid %d) listens", r.jo.UID))
	refused("docker, root, who accepts jo", root(with(asRoot, own)), "does not serve your user")
	refused("podman of dev", devs(podman), "another user (uid 65534) listens")
	refused("podman of dev, who accepts anybody", devs(with(podman, another)), "does not serve your user")

	uids := fmt.Sprintf("uids = [%d]", r.jo.UID)
	settings := strings.ReplaceAll("store = \"memory\"\n"+r.blocks["toml"][0], uids, fmt.Sprintf("uids = [%d, 0, %s]", r.jo.UID, dev))
	r.Put(t, r.jo.Home+"/.config/cspctl/config.toml", []byte(settings), 0o644)
	r.jo.Exec(t, "systemctl", "--user", "reload", "csp-agent.service")
	if err := within(10*time.Second, func() error { return devs(with(podman, another)).Run() }); err != nil {
		t.Errorf("dev, now that dev is listed: %v", err)
	}
	gets("podman of dev", devs(with(podman, another)))
	gets("docker, root", root(with(asRoot, own)))

	// The system service: the user inside is in the group, and is listed.
	r.Exec(t, "mkdir", "-p", "/srv/image/run/csp-agent")
	r.Exec(t, "csp-agent", "install", "--system")
	r.Exec(t, "env", "CSP_AGENT_SOCK=/run/csp-agent/agent.sock", "cspctl", "login", "build", "--server", r.url, "--token-file", "/root/lab.token")
	r.Put(t, "/etc/csp-agent/config.toml", []byte("[profiles.build]\nuids = [4711]\n"), 0o644)
	r.Exec(t, "systemctl", "reload", "csp-agent.service")
	if len(r.blocks["sh system"]) != 1 {
		t.Fatalf("blocks: %q", r.blocks["sh system"])
	}
	system := r.blocks["sh system"][0]
	if err := within(10*time.Second, func() error { return root(system).Run() }); err != nil {
		t.Errorf("the list is read: %v", err)
	}
	gets("the system service", root(system))
	refused("a user who is not listed", root(strings.Replace(system, "4711", "4712", 1)), "does not exist or is not for this user")
	refused("a user who is not in the group", root(regexp.MustCompile(`--group-add "[^"]*" `).ReplaceAllString(system, "")), "cspctl: error: ")

	// The agent makes its socket anew, in the folder that is mounted.
	r.jo.Exec(t, "csp-agent", "restart")
	refused("after a restart: the memory is empty", jo(podman), "the agent has no secret of profile prod")
}
