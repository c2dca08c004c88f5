package config

// Lock says when the agent locks by itself, as cspctl lock does. Where the file
// store has no passphrase, there is nobody to ask for one, and only the cached
// tokens are wiped.
type Lock struct {
	// OnScreenLock: when the screen of one of the user's sessions is locked.
	OnScreenLock bool `toml:"on_screen_lock"`
	// BeforeSleep: before the machine is suspended or hibernates.
	BeforeSleep bool `toml:"before_sleep"`
}

// check returns the key and the fault of what this system can't do: macOS
// tells of such moments through libraries that need cgo, Windows through a
// window.
func (l Lock) check(goos string) (key, text string) {
	system := map[string]string{"darwin": "macOS", "windows": "Windows"}[goos]
	switch {
	case system == "":
		return "", ""
	case l.OnScreenLock:
		key = "on_screen_lock"
	case l.BeforeSleep:
		key = "before_sleep"
	default:
		return "", ""
	}
	return "lock." + key, key + " is not for " + system + ": csp-agent does not hear there of locked screens and of sleep; call cspctl lock"
}
