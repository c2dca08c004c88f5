#!/bin/sh
# Makes a release of HEAD twice, in clones at different paths and under
# different umasks, with nothing built before, and compares the bytes.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for run in one another-longer-path; do
    git clone -q "$root" "$work/$run"
done
(umask 022 && cd "$work/one" && GOCACHE="$work/cache1" make -s release >"$work/first")
(umask 077 && cd "$work/another-longer-path" && TZ=Asia/Tokyo LC_ALL=C GOCACHE="$work/cache2" make -s release >"$work/second")
cat "$work/second"
if ! diff -r "$work/one/dist" "$work/another-longer-path/dist"; then
    echo "two releases of one commit differ" >&2
    exit 1
fi
echo "two releases of one commit are the same, byte for byte"
