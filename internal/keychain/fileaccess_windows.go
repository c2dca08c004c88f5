package keychain

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"

	"github.com/cspctl/cspctl/internal/provider"
)

// checkKeyFile has nothing to look at: a file's mode says nothing on Windows,
// where a profile's folders are closed to other users by inheritance.
func checkKeyFile(fs.FileInfo) error { return nil }

func checkCredential(info fs.FileInfo) error { return checkKeyFile(info) }

// checkDir refuses a folder that belongs to another user.
func checkDir(dir string) *provider.StoreError {
	if err := checkOwner(dir); err != nil {
		return unavailable(provider.File, "the folder of the file store, "+dir+", "+err.Error(), "use a folder of your own", err)
	}
	return nil
}

func checkOwner(path string) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return errors.New("has an owner that can't be read")
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return errors.New("has an owner that can't be read")
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return errors.New("has an owner that can't be compared")
	}
	if owner.Equals(user.User.Sid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) || owner.IsWellKnown(windows.WinLocalSystemSid) {
		return nil
	}
	return errors.New("belongs to somebody else")
}
