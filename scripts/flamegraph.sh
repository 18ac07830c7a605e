#!/usr/bin/env bash
# Where the time of durable commands goes: docs/flamegraph.svg. Usage: scripts/flamegraph.sh PROGRAM [ARGUMENT...],
# by default `steadfast-bench hot`. FLAMEGRAPH names another file to write.
# Needs perf (Debian: linux-perf); installs inferno for this user's cache if need be (a minute, once). Stacks are found
# by the unwind tables: no build of its own is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.12.8
tools="${XDG_CACHE_HOME:-$HOME/.cache}/steadfast/tools"
svg=${FLAMEGRAPH:-docs/flamegraph.svg}
target=${CARGO_TARGET_DIR:-target}
if [ $# -eq 0 ]; then
    set -- "$target/release/steadfast-bench" hot --quick --runs 3
fi

if ! command -v perf >/dev/null; then
    printf 'flamegraph: there is no perf here: install linux-perf\n' >&2
    exit 1
fi
if [ ! -x "$tools/bin/inferno-flamegraph" ]; then
    printf 'flamegraph: installing inferno %s\n' "$version"
    # Not into the target directory, where it would lie among what is ours.
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$tools" --version "$version" inferno
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A virtual machine may have no counter of cycles; the clock does as well. Few samples with deep stacks: a copy of the
# stack is kept with each.
if ! perf record --quiet --no-buildid-cache --freq 199 --event cpu-clock --call-graph dwarf,8192 --output "$work/perf" -- "$@"; then
    printf 'flamegraph: perf may not look at programs here (kernel.perf_event_paranoid), or the program failed\n' >&2
    exit 1
fi
# Asking for inlined functions would take minutes.
perf script --no-inline --input "$work/perf" 2>/dev/null >"$work/stacks"
"$tools/bin/inferno-collapse-perf" <"$work/stacks" >"$work/folded"
"$tools/bin/inferno-flamegraph" --title 'Durable commands' --countname ns --minwidth 0.2 <"$work/folded" >"$svg"
printf 'flamegraph: %s, of %s s of processor time\n' "$svg" "$(awk '{ sum += $NF } END { printf "%.1f", sum / 1e9 }' "$work/folded")"
