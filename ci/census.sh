#!/usr/bin/env bash
# Counts what tests could leave behind, from outside: namespaces, links, mounts and processes. Two runs differ by what was left.
# As root it sees all of the machine, else what the user may see.
set -euo pipefail

namespaces() { find /proc/[0-9]*/ns/"$1" -maxdepth 0 -printf '%l\n' 2>/dev/null | sort -u | wc -l; }

for kind in user net mnt pid uts ipc; do
  echo "$kind namespaces: $(namespaces $kind)"
done
echo "links: $(ip -oneline link | wc -l)"
echo "mounts: $(wc -l </proc/self/mounts)"
echo "named namespaces: $(find /run/netns -mindepth 1 2>/dev/null | wc -l)"
