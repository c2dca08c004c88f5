package main

import (
	"flag"
	"runtime"

	"github.com/cspctl/cspctl/internal/ipc"
)

var curlCommand = command{
	name: "curl",
	args: []arg{{name: "PROFILE", optional: true, kind: profileArg}, {name: "OPTIONS", optional: true}, {name: "URL"}},
	raw:  true,

	summary: "run curl with an access token that no process list shows",
	help: `
The token reaches curl through a file that only curl has open; it is in no
argument and no variable. curl reads no .curlrc and expands no [] and {} in the
URL, of which there is one. It is https; http is for loopback alone, and
then goes through no proxy.

The token goes to the profile's own server and, for servers of VMware Cloud
Services, to hosts below vmware.com and broadcom.com. More are in the
settings of the agent: hosts = ["api.example.com"] below [curl].

Of curl's options, these are taken, with their long names, which are not to be
shortened:
  request    -X -H -A -d --data-raw --data-binary --data-urlencode --json
             -F --form-string -G -I -T -r -z --compressed
  output     -o -O --output-dir --create-dirs -i -w -s -S -# -f -R -N -C
             --fail-with-body --max-filesize
  transfer   -m --connect-timeout --limit-rate --retry --retry-delay
             --retry-max-time --retry-connrefused --retry-all-errors
             -4 -6 --http1.1 --http2 --tlsv1.2 --tlsv1.3 --cacert
Not -L, since curl takes the token along to another host, nor -v, which shows it.

The exit code is curl's own; before curl runs, it is cspctl's. 127 says that
there is no curl, 126 that it can't be run.`,
	examples: `cspctl curl https://vmc.vmware.com/vmc/api/orgs
cspctl curl prod -sSf --json @new.json https://vmc.vmware.com/vmc/api/orgs/ORG/sddcs
cspctl curl lab --auth bearer https://www.mgmt.cloud.vmware.com/vmc/api/orgs`,
	setup: func(fs *flag.FlagSet) runFunc {
		var auth string // read by readCurl: curl's options are not those of package flag
		choiceVar(fs, &auth, "auth", "", "the header: csp-auth-token, or Authorization: Bearer\n(default: as the host takes it)", ipc.HeaderFormCSP, ipc.HeaderFormBearer)
		return runCurl
	},
	end: endOfOther,
}

func runCurl(a *app, args []string) error {
	call, err := readCurl(args, runtime.GOOS == "windows")
	if err != nil {
		return err
	}
	profile, err := a.profile(call.profile)
	if err != nil {
		return err
	}
	// Not as a shell does, which may look into the current folder: this program is
	// given a token.
	program := "curl"
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	exe := ipc.FindProgram(program, a.getenv)
	if exe == "" {
		return a.notFound("curl")
	}
	c := a.agent()
	path := "/v1/hosts"
	if profile != "" {
		path += "?profile=" + ipc.QueryEscape(profile)
	}
	var h ipc.Hosts
	if err := c.Call("GET", path, nil, &h); err != nil {
		return err
	}
	if err := call.allowed(h); err != nil {
		return err
	}
	// By its name: what is allowed was said of that profile.
	token, err := a.accessToken(c, ipc.TokenRequest{Profile: h.Profile})
	if err != nil {
		return err
	}
	file, done, err := passHeader(ipc.HeaderLine(call.form(h), token) + "\n")
	if err != nil {
		return failed(ipc.CodeInternal, "the token can't be passed to curl: "+reason(err), "")
	}
	defer done()
	code, err := a.inPlace(exe, call.arguments(file))
	if err != nil {
		return a.cantRun("curl", err)
	}
	return ended(code)
}
