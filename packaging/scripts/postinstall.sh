#!/bin/sh
# After the files are in place, for deb and rpm. Nothing here fails the
# installation: a container, or a chroot, has no systemd that runs.
#   deb: configure OLD-VERSION (empty at first), abort-upgrade, ...
#   rpm: 1 at first, 2 at an upgrade
set -eu

deb='' upgrade=''
case "${1:-}" in
configure) deb=yes upgrade=${2:-} ;;
1) ;;
[2-9]*) upgrade=yes ;;
*) exit 0 ;; # a failed upgrade or removal: all is as before
esac

have() { command -v "$1" >/dev/null; }
running() { [ -d /run/systemd/system ] && have systemctl; }

# What is enabled for all users: the socket, and the start at login of an agent
# that has profiles. It is done once: what an administrator has disabled stays
# so. On Debian its helper keeps the memory of that, and knows better than dpkg
# what is an upgrade: dpkg takes a package that was removed for one.
enable_for_users() {
    if [ -n "$deb" ] && have deb-systemd-helper; then
        if deb-systemd-helper --user --quiet debian-installed csp-agent.socket; then
            upgrade=yes
        else
            upgrade=''
        fi
        for unit in csp-agent.socket csp-agent-login.service; do
            deb-systemd-helper --user unmask "$unit"
            if deb-systemd-helper --user --quiet was-enabled "$unit"; then
                deb-systemd-helper --user enable "$unit"
            else
                deb-systemd-helper --user update-state "$unit"
            fi
        done
    elif [ -z "$upgrade" ] && have systemctl; then
        for unit in csp-agent.socket csp-agent-login.service; do
            systemctl --global enable "$unit"
        done
    fi
}

# Who builds images may forbid that anything is started (Debian Policy 9.3.3).
forbidden() {
    have policy-rc.d || return 1
    code=0
    policy-rc.d csp-agent.socket start || code=$?
    [ "$code" = 101 ]
}

for_user() {
    user="$1@.host"
    timeout 10 systemctl --user -M "$user" daemon-reload || return 0
    if [ -n "$upgrade" ]; then
        timeout 10 systemctl --user -M "$user" try-restart csp-agent.service
    elif timeout 5 systemctl --user -M "$user" --quiet is-enabled csp-agent.socket; then
        timeout 10 systemctl --user -M "$user" start csp-agent.socket
    fi
}

# All at once: one manager that hangs keeps no other waiting.
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
    enable_for_users
    if running && ! forbidden; then
        timeout 30 systemctl daemon-reload
        # The service of the system is never enabled or started by the package.
        [ -z "$upgrade" ] || timeout 30 systemctl try-restart csp-agent.service
        for_all_users
    fi
} >/dev/null 2>&1 </dev/null || true
exit 0
