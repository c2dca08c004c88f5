#!/bin/sh
# After the files are removed, for deb and rpm.
#   deb: remove, purge, upgrade NEW-VERSION, ...
#   rpm: 0 at removal, 1 after an upgrade
set -eu

case "${1:-}" in
remove | purge | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
    timeout 30 systemctl daemon-reload >/dev/null 2>&1 </dev/null || true
    for unit in $(timeout 10 systemctl list-units --plain --no-legend --state=running 'user@*.service' 2>/dev/null | cut -d ' ' -f 1); do
        uid=${unit#user@}
        timeout 10 systemctl --user -M "${uid%.service}@.host" daemon-reload >/dev/null 2>&1 </dev/null &
    done
    wait
fi

# The service's settings and its secrets; what users keep in their homes is
# theirs. The user csp-agent stays, as Debian has it for users of services: its
# id must not come to own files that were left behind.
if [ "$1" = purge ]; then
    rm -rf /etc/csp-agent /var/lib/csp-agent
fi
exit 0
