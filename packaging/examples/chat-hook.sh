#!/bin/sh
# A hook that posts warnings to a chat. In ~/.config/cspctl/config.toml:
#
#   [hook]
#   command = ["/home/me/bin/chat-hook.sh"]
#
# The webhook's URL is a secret: it is in a file that only you can read,
# ~/.config/cspctl/webhook (or $1), and never in an argument of a program.
# What is sent is {"text":"..."}, which Slack, Mattermost, Rocket.Chat, Google
# Chat and Teams take.
set -eu
url_file=${1:-$HOME/.config/cspctl/webhook}
url=$(cat "$url_file")

# The event is one line of JSON. A string of it can be passed on as it stands:
# field NAME prints it with its quotes and escapes, or nothing.
read -r event
field() { printf '%s\n' "$event" | sed -n 's/.*"'"$1"'":\("[^"\\]*\(\\.[^"\\]*\)*"\).*/\1/p'; }

type=$(field type) profile=$(field profile) text=$(field message) renew=$(field renew_url)
if [ "$type" = '"cleared"' ]; then
	text="\"$(field profile | tr -d '"'): what was warned of no longer holds\""
elif [ -z "$text" ]; then
	text="\"cspctl: $(printf '%s %s' "$type" "$profile" | tr -d '"')\""
fi
if [ -n "$renew" ]; then
	text="${text%\"} ${renew#\"}"
fi

# printf is a builtin: neither the URL nor the text is in the process list.
printf 'url = "%s"\nheader = "Content-Type: application/json"\ndata = "%s"\n' "$url" \
	"$(printf '{"text":%s}' "$text" | sed 's/[\\"]/\\&/g')" |
	curl --silent --show-error --fail --max-time 20 --config - >/dev/null
