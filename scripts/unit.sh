#!/usr/bin/env bash
# Has systemd judge the unit. Usage: scripts/unit.sh [ROOT]: of a tree where the package was unpacked, else of
# this checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Exposure from 0 (safe) to 100, as `systemd-analyze security` counts: what is left is the network, which HTTP
# needs, and file systems that are not hidden, for a reason that the unit tells.
most_exposed=30

if ! command -v systemd-analyze >/dev/null; then
    printf 'unit: NOT judged: there is no systemd-analyze here\n'
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unit=packaging/systemd/steadfast.service
program=$(command -v true)
if [ -n "${1:-}" ]; then
    unit=$1/usr/lib/systemd/system/steadfast.service
    program=$1/usr/bin/steadfast
fi
# systemd wants to find the program and knows no manual page of a program that is not installed.
sed -e "s,^Exec\(Start\|Reload\)=/usr/bin/steadfast,Exec\1=$program," -e '/^Documentation=/d' "$unit" >"$work/steadfast.service"
systemd-analyze verify "$work/steadfast.service"
systemd-analyze security --offline=true --threshold="$most_exposed" "$work/steadfast.service" | tail -n 1
