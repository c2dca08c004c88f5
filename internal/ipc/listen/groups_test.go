//go:build linux || darwin

package listen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// Who is listed is served besides the owner: by uid, by its primary group, or
// by any other group that it was in when it connected.
func TestUIDsAndGIDs(t *testing.T) {
	const team = 4242
	many := []uint32{team}
	for g := range uint32(100) { // more than fit at the first try
		many = append(many, 50000+g)
	}
	for _, c := range []struct {
		name   string
		uids   []uint32
		gids   []uint32
		groups []uint32
		served bool
	}{
		{"by uid", []uint32{1, nobody}, nil, nil, true},
		{"by primary group", nil, []uint32{nobody}, nil, true},
		{"by another group", nil, []uint32{1, team}, []uint32{7, team, 9}, true},
		{"by one of very many groups", nil, []uint32{50099}, many, true},
		{"other uid", []uint32{nobody - 1}, nil, nil, false},
		{"other group", nil, []uint32{team}, []uint32{team - 1, team + 1}, false},
		{"a group's number among the uids", []uint32{team}, []uint32{1}, []uint32{team}, false},
		{"nothing listed", nil, nil, []uint32{team}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(folder(t), "run", "o.sock")
			if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
				t.Fatal(err)
			}
			serve(t, mustListen(t, listen.Options{Path: path, Shared: true, Mode: 0o666, UIDs: c.uids, GIDs: c.gids}))
			wantServed(t, path) // the owner, in any case
			cmd := helper(t, "get")
			asNobody(t, cmd)
			cmd.SysProcAttr.Credential.Groups = c.groups
			cmd.Env = append(cmd.Env, ipc.EnvSocket+"="+path, ipc.EnvUID+"=0")
			line, end := firstLine(t, cmd)
			end()
			if served := line == "200 hello /v1/status"; served != c.served || !served && !strings.HasPrefix(line, "403 {") {
				t.Errorf("got %q, served is to be %v", line, c.served)
			}
		})
	}
}
