package main

import (
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

// The exec plugin protocol of client-go:
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
const execGroup = "client.authentication.k8s.io/"

// execInfo is what the caller says in KUBERNETES_EXEC_INFO.
type execInfo struct {
	version     string // v1 or v1beta1: the answer's must equal the caller's
	interactive bool   // stdin can be read
	caller      string // see ipc.TokenRequest; empty when the command is run by hand
}

// readExecInfo reads KUBERNETES_EXEC_INFO, which is empty when the command is
// run by hand.
func readExecInfo(text string) (execInfo, error) {
	if text == "" {
		return execInfo{version: "v1", interactive: true}, nil
	}
	var in struct {
		APIVersion string `json:"apiVersion"`
		Spec       struct {
			Interactive *bool `json:"interactive"`
			Cluster     struct {
				Server string `json:"server"` // with provideClusterInfo
			} `json:"cluster"`
		} `json:"spec"`
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return execInfo{}, usage("KUBERNETES_EXEC_INFO is not an ExecCredential in JSON", "it is set by kubectl: unset it to try the command by hand")
	}
	info := execInfo{interactive: in.Spec.Interactive == nil || *in.Spec.Interactive, caller: execCaller(in.Spec.Cluster.Server)}
	switch in.APIVersion {
	case "", execGroup + "v1":
		info.version = "v1"
	case execGroup + "v1beta1":
		info.version = "v1beta1"
	default:
		return execInfo{}, usage("kubectl asks for "+quote(strings.TrimPrefix(in.APIVersion, execGroup))+" of the exec plugin protocol, which is not spoken here",
			"set apiVersion of the user's exec section in the kubeconfig to "+execGroup+"v1")
	}
	return info, nil
}

// execCaller names the client that runs this program. It runs it again before its
// credential expires only where a server refused that (401), and does not say so:
// the protocol's v1 has no field for it. Its process may have several clusters.
func execCaller(cluster string) string {
	parent, ok := parentProcess()
	if !ok {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(cluster))
	return parent + ":" + strconv.FormatUint(h.Sum64(), 36)
}

func execCredential(r ipc.TokenReply, version string) (string, error) {
	type spec struct {
		Interactive bool `json:"interactive"`
	}
	type status struct {
		// Missing if unknown: an empty text would be refused.
		ExpirationTimestamp string      `json:"expirationTimestamp,omitempty"`
		Token               secret.Wire `json:"token"`
	}
	doc := struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Spec       spec   `json:"spec"`
		Status     status `json:"status"`
	}{Kind: "ExecCredential", APIVersion: execGroup + version, Status: status{Token: secret.Wire{Text: r.Token}}}
	if !r.ExpiresAt.IsZero() {
		doc.Status.ExpirationTimestamp = r.ExpiresAt.UTC().Format(time.RFC3339)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return "", failed(ipc.CodeInternal, err.Error(), "")
	}
	return string(b) + "\n", nil
}
