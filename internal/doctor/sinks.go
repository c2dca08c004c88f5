package doctor

import (
	"os"

	"github.com/cspctl/cspctl/internal/ipc"
)

// sinks looks at the folders for files with tokens, and at the files that the
// agent can't write.
func (e *exam) sinks(dirs []string) (found []Finding) {
	for _, dir := range dirs {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			found = append(found, warn("the folder "+dir+" of [sinks] is not there", "make it, or take it out of sinks.dirs in "+e.Files.Config))
		}
	}
	st := e.reply().status
	if st == nil {
		return found
	}
	for _, s := range st.Sinks {
		if s.Error != nil && (s.Error.Code == ipc.CodeState || s.Error.Code == ipc.CodeBadRequest) { // others are the profile's trouble
			found = append(found, warn("the sink "+s.File+" is not fresh: "+s.Error.Message, s.Error.Hint))
		}
	}
	return found
}
