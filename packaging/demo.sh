#!/bin/sh
# Shows the product against the simulator, in a home that is thrown away.
# Usage: packaging/demo.sh BIN, where BIN is the folder of the built commands.
set -eu
bin=$(cd "$1" && pwd)
home=$(mktemp -d)
sim= agent=
finish() {
    [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
    [ -z "$sim" ] || kill "$sim" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT
trap 'exit 1' INT TERM

# Nothing of the person's own is touched.
mkdir -m 700 "$home/run"
export HOME="$home" XDG_RUNTIME_DIR="$home/run" PATH="$bin:$PATH"
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME XDG_CACHE_HOME CSP_AGENT_SOCK CSP_AGENT_CONFIG \
    CSPCTL_PROFILE CSPCTL_WARNINGS DBUS_SESSION_BUS_ADDRESS 2>/dev/null || true

say() { printf '\n$ %s\n' "$*"; }

csp-sim -ready-file "$home/url" -token-file prod="$home/prod" -token-file lab="$home/lab" -expires-in lab=5d >"$home/sim.log" 2>&1 &
sim=$!
tries=0
until [ -s "$home/url" ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { cat "$home/sim.log" >&2; exit 1; }
    sleep 0.05
done
server=$(cat "$home/url")
echo "A simulator of Cloud Services runs at $server; its API tokens were made up just now."

csp-agent run 2>"$home/agent.log" &
agent=$!
tries=0
until cspctl status >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { cat "$home/agent.log" >&2; exit 1; }
    sleep 0.05
done

say "cspctl login prod --server $server --token-file - --store memory"
cspctl login prod --server "$server" --token-file - --store memory <"$home/prod"
say "cspctl login lab --server $server --token-file - --store memory"
cspctl login lab --server "$server" --token-file - --store memory <"$home/lab"

say 'export CSP_AUTH=$(cspctl token)'
CSP_AUTH=$(cspctl token)
export CSP_AUTH
say 'echo "$CSP_AUTH"'
echo "$CSP_AUTH"

say 'cspctl token lab --warnings always -o header'
cspctl token lab --warnings always -o header

say 'cspctl status'
cspctl status
