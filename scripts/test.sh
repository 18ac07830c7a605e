#!/usr/bin/env bash
# All tests of the workspace, then its examples, then one line with the sum. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CARGO_TARGET_DIR:?is set by the Makefile: use make test}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each example twice with one temporary directory: the second time it finds what the first left behind.
run_examples() {
    local bin name source
    bin=$(cd "$CARGO_TARGET_DIR/release/examples" && pwd)
    for source in */examples/*.rs; do
        name=$(basename "$source" .rs)
        mkdir "$work/$name"
        for _ in first second; do
            printf '\nexample %s\n' "$name"
            (cd "$work/$name" && TMPDIR=$PWD timeout 120 "$bin/$name" </dev/null) || {
                printf 'example %s failed with %d\n' "$name" "$?"
                return 1
            }
        done
    done
}

# The sums of all lines "test result: ok. 3 passed; 0 failed; 1 ignored; ...".
sum_up() {
    awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit passed == 0 }' "$1"
}

# A project of `steadfast new`; its tests count.
try_project() {
    bash scripts/new-service.sh "$CARGO_TARGET_DIR/release/steadfast" | tee -a "$work/log"
}

outcome=0
cargo test --release --workspace --no-fail-fast "$@" | tee "$work/log" || outcome=$?
if [ "$outcome" = 0 ]; then
    run_examples || outcome=$?
fi
if [ "$outcome" = 0 ]; then
    try_project || outcome=$?
fi
[ "$outcome" = 0 ] || printf "\nFAILED: the first error is above\n"
printf '\nafter %d s, of tests (examples not counted):\n' "$SECONDS"
sum_up "$work/log" || outcome=1
exit "$outcome"
