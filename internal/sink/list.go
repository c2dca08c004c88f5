package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cspctl/cspctl/internal/ipc"
)

// entry is what the list holds of a sink.
type entry struct {
	Socket  string      `json:"socket"` // of the agent whose sink it is
	Profile string      `json:"profile"`
	Format  string      `json:"format"`
	File    string      `json:"file"`
	Mode    fs.FileMode `json:"mode"`
}

type contents struct {
	Version int     `json:"version"`
	Sinks   []entry `json:"sinks"`
}

const listVersion = 1

// read returns the sinks of all agents.
func (s *Sinks) read() ([]entry, *ipc.Error) {
	b, err := s.File.Read()
	if err == nil && b == nil {
		return nil, nil
	}
	var c contents
	if err == nil {
		c, err = parseList(b)
	}
	if err != nil {
		return nil, s.unusable(err)
	}
	return c.Sinks, nil
}

func (s *Sinks) unusable(err error) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeState, Hint: "repair it, or move it away and restart the agent",
		Message: fmt.Sprintf("the list of sinks %s can't be used: %v", s.File.Path(), err)}
}

func parseList(b []byte) (contents, error) {
	var c contents
	if err := json.Unmarshal(b, &c); err != nil {
		return contents{}, fmt.Errorf("it is damaged: %w", err)
	}
	if c.Version != listVersion {
		return contents{}, fmt.Errorf("it is of version %d, and this agent reads version %d", c.Version, listVersion)
	}
	if len(c.Sinks) > maxListed {
		return contents{}, errors.New("it has too many")
	}
	files := map[[2]string]bool{}
	for _, e := range c.Sinks {
		at := [2]string{e.Socket, e.File}
		if _, bad := parseMode(fmt.Sprintf("%04o", e.Mode)); bad != nil || ipc.CheckName(e.Profile) != nil || files[at] {
			return contents{}, fmt.Errorf("it has a sink %q that can't be", e.File)
		}
		files[at] = true
	}
	return c, nil
}

// write makes a list durable, with the sinks of other agents.
func (s *Sinks) write(list []*writer, others []entry) *ipc.Error {
	c := contents{Version: listVersion, Sinks: append([]entry{}, others...)}
	for _, w := range list {
		c.Sinks = append(c.Sinks, w.entry)
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = s.File.Write(append(b, '\n'))
	}
	if err != nil {
		return &ipc.Error{Code: ipc.CodeState, Message: fmt.Sprintf("the list of sinks can't be written: %v", err),
			Hint: "make room, or make the folder writable, and try again"}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// wire is an error of the agent's.
func wire(err error) *ipc.Error {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e
	}
	return &ipc.Error{Code: ipc.CodeInternal, Message: err.Error()}
}
