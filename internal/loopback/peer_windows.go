package loopback

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

const (
	// Of TCP_TABLE_CLASS, iprtrmib.h. That of connections (4) has only those in
	// both directions in wine, and Windows doesn't say which it has.
	tcpTableOwnerPIDAll = 5

	maxTCPTable = 64 << 20 // bytes
)

// belongs compares the user of the peer's process with this process's: there
// are no uids here.
func belongs(e ends, _ uint32) error {
	pid, err := peers.ask(e)
	if err != nil {
		return err
	}
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return unknown("the peer's process", err)
	}
	defer windows.CloseHandle(process) //nolint:errcheck // nothing depends on it
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return unknown("the user of the peer's process", err)
	}
	defer token.Close() //nolint:errcheck // nothing depends on it
	theirs, err := token.GetTokenUser()
	if err != nil {
		return unknown("the user of the peer's process", err)
	}
	ours, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return unknown("the user of this process", err)
	}
	// As long as the process is open, its id is no other's. If the connection
	// still has that id, then the process that was looked at has it.
	again, err := peers.ask(e)
	switch {
	case err != nil:
		return err
	case again != pid:
		return errNotListed
	case !theirs.User.Sid.Equals(ours.User.Sid):
		return ErrOther
	}
	return nil
}

func lookUp(asked []*question) {
	for _, t := range []tcpTable{tcpTable4, tcpTable6} {
		rest := unlisted(asked)
		if len(rest) == 0 {
			return
		}
		b, err := t.read()
		if err != nil {
			fail(rest, unknown("the table of connections", err))
			return
		}
		for _, q := range rest {
			q.owner, q.err = t.find(b, q.ends)
		}
	}
}

// read asks for the table, with more room as long as that was too little.
func (t tcpTable) read() ([]byte, error) {
	b := make([]byte, 64<<10)
	for {
		size := uint32(len(b))
		code, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0,
			uintptr(t.family), tcpTableOwnerPIDAll, 0)
		switch err := windows.Errno(code); {
		case err == windows.ERROR_SUCCESS:
			return b, nil
		case err != windows.ERROR_INSUFFICIENT_BUFFER || len(b) >= maxTCPTable:
			return nil, err
		}
		b = make([]byte, min(maxTCPTable, max(2*len(b), int(size))))
	}
}
