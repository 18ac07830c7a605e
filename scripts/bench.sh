#!/usr/bin/env bash
# Measures everything and writes docs/benchmarks.md and docs/plots/: the machine, the targets, each subject.
# Usage: scripts/bench.sh [FLAGS of steadfast-bench]; by default --quick, which is meant to take fifteen minutes: each
# subject then measures a selection that shows each of its axes, and leaves the full tables to `steadfast-bench SUBJECT`.
# SUBJECTS, for instance "commit ask", measures these beside the targets instead of all.
# Nothing of the page is written by hand, and it is replaced only once everything was measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CARGO_TARGET_DIR:?is set by the Makefile: use make bench}"

bench=$CARGO_TARGET_DIR/release/steadfast-bench
page=docs/benchmarks.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# = 0 ]; then
    set -- --quick
fi

# The measured directory's name is left out; its file system and device stay.
no_paths() {
    sed -E 's/^(directory +)[^ ]+ \(/\1(/'
}

# The machine stands at the top; each later run repeats it.
without_machine() {
    awk '/^```text$/ && !done { skipping = 1 } !skipping { print } /^```$/ && skipping { skipping = 0; done = 1 }' \
        | sed '/./,$!d'
}

plots=$work/plots
mkdir "$plots"
"$bench" targets "$@" >"$work/targets"
subjects=${SUBJECTS:-all soak}
for subject in $subjects; do
    "$bench" "$subject" --plots "$plots" "$@" | without_machine
done >"$work/subjects"

{
    printf '# Benchmarks\n\n'
    printf 'Written by `make bench` (`steadfast-bench targets`; subjects: %s, flags: `%s`), commit %s, %s.\n\n' \
        "$subjects" "$*" "$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)" "$(date -u +%F)"
    printf 'Each figure is the median of several runs, with the least and the greatest, and stands beside its limit or peer\n'
    printf 'of the same runs, measured in turns. The ratio is the median of the ratios run by run: on another machine the\n'
    printf 'figures differ, the ratios much less. Everything that is acknowledged was synced first, on all sides, unless a\n'
    printf 'row says otherwise. With `--quick`, `recover.replay` has 4 of 10 million events, `recover.state_all` the smaller of\n'
    printf 'two sizes, both from the disk alone, and `scale.disk` as much of 10 GB as a minute writes: each row says its size.\n\n'
    printf '## The machine\n\n'
    sed -n '/^```text$/,/^```$/p' "$work/targets" | no_paths
    printf '\n## Targets\n\n'
    without_machine <"$work/targets"
    for plot in "$plots"/*.svg; do
        if [ -e "$plot" ]; then
            name=$(basename "$plot")
            printf '![%s](plots/%s)\n\n' "${name%.svg}" "$name"
        fi
    done
    cat "$work/subjects"
} >"$work/page"

rm -rf docs/plots
if [ -n "$(ls -A "$plots")" ]; then
    mkdir -p docs/plots
    cp "$plots"/*.svg docs/plots/
fi
# Without blank lines at the end or in pairs.
cat -s "$work/page" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$page"
printf '\n%s and %s plots are written, after %d s\n' "$page" "$(find docs/plots -name '*.svg' 2>/dev/null | wc -l)" "$SECONDS"
