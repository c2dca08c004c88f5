#!/bin/sh
# After the files are in place, for deb and rpm. Nothing here fails the
# installation: a container, or a chroot, has no systemd that runs.
#   deb: configure OLD-VERSION (empty at first), abort-upgrade, ...
#   rpm: 1 at first, 2 after an upgrade
set -eu

case "${1:-}" in
configure) [ -n "${2:-}" ] && upgrade=yes || upgrade= ;;
1) upgrade= ;;
[2-9]*) upgrade=yes ;;
*) exit 0 ;; # a failed upgrade or removal: all is as before
esac

running() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }
have() { command -v "$1" >/dev/null; }

# As deb-systemd-helper is not told of presets by rpm's systems, each has its
# own way. It leaves alone what an administrator has disabled.
enable_for_users() {
    if [ "$1" = configure ] && have deb-systemd-helper; then
        deb-systemd-helper --user unmask csp-agent.socket
        if deb-systemd-helper --user --quiet was-enabled csp-agent.socket; then
            deb-systemd-helper --user enable csp-agent.socket
        else
            deb-systemd-helper --user update-state csp-agent.socket
        fi
    elif [ -z "$upgrade" ] && have systemctl; then
        systemctl --global enable csp-agent.socket
    fi
}

# Each manager of a user that runs, all at once: one that hangs keeps no other
# waiting, and the installation no longer than this.
for_user() {
    uid=$1
    timeout 10 systemctl --user -M "$uid@.host" daemon-reload &&
        if [ -n "$upgrade" ]; then
            timeout 10 systemctl --user -M "$uid@.host" try-restart csp-agent.service
        elif timeout 5 systemctl --user -M "$uid@.host" --quiet is-enabled csp-agent.socket; then
            timeout 10 systemctl --user -M "$uid@.host" start csp-agent.socket
        fi
}

for_all_users() {
    for unit in $(timeout 10 systemctl list-units --plain --no-legend --state=running 'user@*.service' | cut -d ' ' -f 1); do
        uid=${unit#user@}
        for_user "${uid%.service}" &
    done
    wait
}

{
    if have systemd-sysusers; then
        systemd-sysusers csp-agent.conf
    fi
    enable_for_users "$1"
    if running; then
        timeout 30 systemctl daemon-reload
        # The service of the system is never enabled or started by the package.
        [ -z "$upgrade" ] || timeout 30 systemctl try-restart csp-agent.service
        for_all_users
    fi
} >/dev/null 2>&1 </dev/null || true
exit 0
