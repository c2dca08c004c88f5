package launch

import (
	"os"
	"strings"
)

// inherited are the variables that a program gets from the agent's
// environment: what it takes to find its home, the desktop and the person's
// language. Everything else stays: sockets and credentials of the agent's
// service, and whatever the shell had that started it.
var inherited = map[string]bool{
	"HOME": true, "PATH": true, "USER": true, "LOGNAME": true, "SHELL": true, "TZ": true, "LANG": true, "LANGUAGE": true,
	"DISPLAY": true, "WAYLAND_DISPLAY": true, "XAUTHORITY": true, "DBUS_SESSION_BUS_ADDRESS": true, "DESKTOP_SESSION": true,
	// What xdg-open looks at.
	"BROWSER": true, "KDE_FULL_SESSION": true, "KDE_SESSION_VERSION": true, "WSL_DISTRO_NAME": true, "WSL_INTEROP": true,
	// Windows: without these few programs start.
	"SYSTEMROOT": true, "SYSTEMDRIVE": true, "WINDIR": true, "COMSPEC": true, "PATHEXT": true, "USERPROFILE": true, "USERNAME": true,
	"USERDOMAIN": true, "APPDATA": true, "LOCALAPPDATA": true, "PROGRAMDATA": true, "PROGRAMFILES": true, "TEMP": true, "TMP": true,
}

// Environment returns what of the agent's environment a program for people
// gets. The rest may hold secrets, such as the password of a proxy.
func Environment(agent []string) []string {
	var env []string
	path := false
	for _, entry := range agent {
		name, value, ok := strings.Cut(entry, "=")
		if name = strings.ToUpper(name); !ok || name == "" {
			continue // Windows keeps the folders of drives in such entries
		}
		if inherited[name] || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_") {
			env = append(env, entry)
			path = path || name == "PATH" && value != ""
		}
	}
	if !path && os.PathSeparator == '/' {
		env = append(env, "PATH=/usr/local/bin:/usr/bin:/bin")
	}
	return env
}
