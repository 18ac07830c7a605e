#!/usr/bin/env bash
# What `steadfast-bench peers` measures against: installs Restate (npm, and a service with its Rust SDK from
# crates.io) and PostgreSQL (apt), or builds the program for datum-persistence. Nothing goes into the repository:
# Restate and datum go below cargo's target directory.
#
#   scripts/peers.sh            Restate and PostgreSQL
#   scripts/peers.sh restate    one of them
#   scripts/peers.sh postgres
#   scripts/peers.sh datum      compiles a RocksDB of its own: some 16 minutes on two cores
#
# What is there already stays. Exit 1 if something could not be had; what it was is said.
set -euo pipefail
cd "$(dirname "$0")/.."

peers=$(realpath -m "${CARGO_TARGET_DIR:-target}")/peers
failed=0

cannot() {
    echo "peers: $*" >&2
    failed=1
}

# A project of its own, below benches/peers.
build() {
    CARGO_TARGET_DIR=$peers/$1 cargo build --release --locked --manifest-path "benches/peers/$1/Cargo.toml"
}

restate() {
    local dir=$peers/restate sources=benches/peers/restate
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        cannot "Restate needs node and npm (https://nodejs.org), which are not installed"
        return
    fi
    mkdir -p "$dir"
    if ! cmp -s "$sources/package-lock.json" "$dir/package-lock.json" || [ ! -f "$dir/installed" ]; then
        cp "$sources/package.json" "$sources/package-lock.json" "$dir/"
        # No scripts: a package of its own only reports that it was installed.
        if ! npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund; then
            cannot "npm could not install Restate"
            return
        fi
        touch "$dir/installed"
    fi
    cp "$sources/counter.mjs" "$dir/"
    echo "peers: Restate is in $dir"
    if build restate-rust; then
        echo "peers: its service with the Rust SDK is in $peers/restate-rust"
    else
        cannot "the service with Restate's Rust SDK could not be built: the one with its TypeScript SDK is measured"
    fi
}

postgres() {
    if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            cannot "PostgreSQL is not installed: \`apt-get install postgresql\` as root"
            return
        fi
        if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql; }; then
            cannot "apt-get could not install PostgreSQL"
            return
        fi
    fi
    echo "peers: PostgreSQL is in $(compgen -G '/usr/lib/postgresql/*/bin' | tail -n 1)"
}

datum() {
    if ! build datum; then
        cannot "datum-persistence could not be built: it needs a C++ compiler and libclang"
        return
    fi
    echo "peers: datum-persistence is in $peers/datum"
}

for peer in "${@:-restate postgres}"; do
    for one in $peer; do
        case $one in
        restate | postgres | datum) "$one" ;;
        *) cannot "there is no peer $one: restate, postgres or datum" ;;
        esac
    done
done
exit "$failed"
