#!/usr/bin/env bash
# Fuzzes the decoders with libFuzzer, on a stable toolchain: coverage comes from LLVM's pass, without a sanitizer, as
# there is no unsafe code of ours to watch. Prints executions and crashes of each target.
# Usage: scripts/fuzz.sh [SECONDS [TARGET...]]: SECONDS each (default 60), all targets in turn by default. They are the
# directories of fuzz/corpus. What a crash was made of is kept in $CARGO_TARGET_DIR/fuzz/crashes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
names=("$@")
if [ $# = 0 ]; then
    for directory in fuzz/corpus/*/; do names+=("$(basename "$directory")"); done
fi

# RocksDB as the build has it: compiled with counters it would take long, and it decodes nothing here.
archive=$(find "$target/release/build" -path '*/librocksdb-sys-*/out/librocksdb.a' -print -quit 2>/dev/null || true)
[ -n "$archive" ] || { echo "fuzz: RocksDB is not built: make build"; exit 1; }
host=$(rustc -vV | sed -n 's/^host: //p')

counters="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
counters+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
counters+=" -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
# With --target, so that what runs while building has no counters.
ROCKSDB_LIB_DIR=$(dirname "$archive") ROCKSDB_STATIC=1 RUSTFLAGS=$counters CARGO_TARGET_DIR=$target/fuzz \
    cargo build --profile fuzz --locked --manifest-path fuzz/Cargo.toml --target "$host"

program=$target/fuzz/$host/fuzz/steadfast-fuzz
mkdir -p "$target/fuzz/crashes"
crashes=0
printf '\n| target | executions | crashes |\n| --- | ---: | ---: |\n'
for name in "${names[@]}"; do
    [ -d "fuzz/corpus/$name" ] || { echo "fuzz: no target is called $name"; exit 2; }
    found=$target/fuzz/found/$name
    log=$target/fuzz/$name.log
    mkdir -p "$found"
    crashed=0
    STEADFAST_FUZZ_TARGET=$name "$program" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$target/fuzz/crashes/$name-" "$found" "fuzz/corpus/$name" \
        >"$log" 2>&1 || crashed=1
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    [ "$crashed" = 0 ] || grep -E 'panicked at|ERROR: libFuzzer|Test unit written' -A 1 "$log" || tail -n 5 "$log"
    crashes=$((crashes + crashed))
    printf '| %s | %s | %s |\n' "$name" "${executions:-?}" "$crashed"
done
exit "$((crashes > 0))"
