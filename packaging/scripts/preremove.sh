#!/bin/sh
# Before the files are removed, for deb and rpm. Nothing here fails the removal.
#   deb: remove, upgrade NEW-VERSION, deconfigure, ...
#   rpm: 0 at removal, 1 before an upgrade
set -eu

case "${1:-}" in
remove) deb=yes ;;
0) deb= ;;
*) exit 0 ;; # an upgrade: what runs goes on until the new version is there
esac

running() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }
have() { command -v "$1" >/dev/null; }

for_all_users() {
    for unit in $(timeout 10 systemctl list-units --plain --no-legend --state=running 'user@*.service' | cut -d ' ' -f 1); do
        uid=${unit#user@}
        timeout 10 systemctl --user -M "${uid%.service}@.host" stop csp-agent.socket csp-agent.service &&
            timeout 10 systemctl --user -M "${uid%.service}@.host" clean --what=runtime csp-agent.service &
    done
    wait
}

{
    if running; then
        for_all_users
        timeout 30 systemctl stop csp-agent.socket csp-agent-token.socket csp-agent.service
    fi
    # What is forgotten here is enabled again at the next installation.
    if [ -n "$deb" ] && have deb-systemd-helper; then
        deb-systemd-helper --user purge csp-agent.socket
        deb-systemd-helper --user purge csp-agent-login.service
    fi
    if have systemctl; then
        systemctl --global disable csp-agent.socket csp-agent-login.service csp-agent.service
        systemctl --system disable csp-agent.socket csp-agent-token.socket csp-agent.service
    fi
} >/dev/null 2>&1 </dev/null || true
exit 0
