#!/bin/sh
# Runs every fuzz target of the module for the given time each.
# Usage: packaging/fuzz.sh 60s
set -eu
count=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
    dir=$(dirname "$file")
    for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
        echo "fuzzing $target in $dir for $1"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$dir"
        count=$((count + 1))
    done
done
echo "$count fuzz targets ran for $1 each"
