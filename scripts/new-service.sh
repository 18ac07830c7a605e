#!/usr/bin/env bash
# What `steadfast new service` writes builds, passes its tests and runs as it is written, without a network.
# Usage: scripts/new-service.sh PATH-OF-STEADFAST; CARGO_TARGET_DIR is that of the workspace.
#
# RocksDB is not compiled again: the project links the archive of the workspace's build. It has a target
# directory of its own for that, beside the workspace's, since cargo would take the other way to RocksDB for a
# reason to build the workspace's again; its features differ too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CARGO_TARGET_DIR:?is set by the Makefile: use make test}"

mkdir -p "$CARGO_TARGET_DIR"
shared=$(cd "$CARGO_TARGET_DIR" && pwd)
steadfast=$(realpath "${1:?usage: scripts/new-service.sh PATH-OF-STEADFAST}")
export STEADFAST_SOURCE=$PWD CARGO_TARGET_DIR=$shared/new-service CARGO_PROFILE_DEV_DEBUG=0
work=$(mktemp -d)
service=
trap '[ -z "$service" ] || kill -9 "$service" 2>/dev/null || true; rm -rf "$work"' EXIT

# The newest archive of the workspace's build, unless a library was named already.
if [ -z "${ROCKSDB_LIB_DIR:-}" ]; then
    archive=$(find "$shared/release/build" -path '*/librocksdb-sys-*/out/librocksdb.a' -printf '%T@ %p\n' | sort -rn | head -n 1)
    [ -n "$archive" ] || { echo "new-service: no librocksdb.a below $shared/release/build: run make build"; exit 1; }
    ROCKSDB_LIB_DIR=$(dirname "${archive#* }")
    export ROCKSDB_LIB_DIR ROCKSDB_STATIC=1
fi

cd "$work"
"$steadfast" new service shop
cd shop
cargo test --offline
if [ -n "$(find "$CARGO_TARGET_DIR" -name librocksdb.a)" ]; then
    echo "new-service: RocksDB was compiled again"
    exit 1
fi

# The service itself: it answers, it is killed, it remembers, it ends in order.
start() {
    : >log
    "$CARGO_TARGET_DIR/debug/shop" data 127.0.0.1:0 >log &
    service=$!
    for _ in {1..600}; do
        port=$(sed -n 's/^serving .*:\([0-9]*\)$/\1/p' log)
        [ -z "$port" ] || return 0
        kill -0 "$service" || break
        sleep 0.1
    done
    echo "new-service: the service does not serve"
    return 1
}
ask() {
    local answer
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\n' "$1" >&3
    read -r -t 60 answer <&3
    exec 3>&-
    printf '%s -> %s\n' "$1" "$answer"
    [[ $answer = "$2"* ]]
}
cargo build --offline --quiet
start
ask 'reserve alice 2' 'ok'
kill -9 "$service"
wait "$service" 2>/dev/null || true
start
ask 'show alice' 'ok: Booking { stage: Reserved, seats: 2'
kill -TERM "$service"
wait "$service"
service=
grep -qx stopped log
echo "new-service: builds, passes its tests, survives a kill"
