#!/bin/bash
# The word of ramet-agent decides which keys and which file hold, wherever it stands on the
# line, and a value of an option is no word.
set -eu
agent=$RAMET_BIN/ramet-agent
fail() { echo "FAILED: $*" >&2; exit 1; }
# What it says to a line; most of these lines are refused.
said() { "$agent" "$@" 2>&1 || true; }

# The tables, by a key that only one of them has.
while read -r key line; do
  # shellcheck disable=SC2086 # A line of several words.
  [[ $(said $line --print-config) == *"$key = "* ]] || fail "ramet-agent $line: not the keys with $key"
done <<'LINES'
settle-s firstboot
cmdline bare
cache-margin-s source
cmdline -v bare
cache-margin-s -c bare
cache-margin-s -c firstboot source
LINES

# The file without -c; the test has mounts of its own.
mount -t tmpfs none /etc
mkdir /etc/ramet
echo "no-such-key = 1" >/etc/ramet/agent.cfg
[[ $(said source --check-config) == *"agent.cfg: the key no-such-key is unknown"* ]] ||
  fail "source does not read agent.cfg"
for word in firstboot bare; do
  [[ $(said "$word" --check-config) != *agent.cfg* ]] || fail "$word reads agent.cfg"
done
echo "agent's tables: passed"
