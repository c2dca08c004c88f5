package ipc

// ExitCode is the exit code of cspctl for an error: 2 wrong usage, 3 no such
// profile or not logged in, 4 the server refuses the credential, 5 the server
// can't be reached, 6 the agent can't, 7 the life that was asked for can't be had,
// 8 the agent or the store is locked, 1 all else. Scripts depend on them.
func (c Code) ExitCode() int {
	switch c {
	case CodeBadRequest, CodeBadProfileName, CodeProfileExists, CodeOrgDiffers:
		return 2
	case CodeNoSuchProfile, CodeNotLoggedIn:
		return 3
	case CodeRefused, CodePasscodeNeeded, CodeRefusedForNow:
		return 4
	case CodeUnreachable, CodeWrongServer:
		return 5
	case CodeAgent, CodeBusy, CodeNotAllowed:
		return 6
	case CodeMinTTL:
		return 7
	case CodeLocked, CodeRateLimited, CodeStoreLocked, CodeStoreAbsent, CodePassphraseNotSet:
		return 8
	}
	return 1
}
