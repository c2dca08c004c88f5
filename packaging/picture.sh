#!/bin/sh
# Makes docs/notification.png again: a real dunst, on a screen of its own.
# Debian packages: dunst xvfb xdotool imagemagick fonts-dejavu-core adwaita-icon-theme
set -eu
cd "$(dirname "$0")/.."
CSPCTL_PICTURE="$PWD/docs/notification.png" ${GO:-go} test -count=1 -run '^TestPicture$' ./internal/notify
