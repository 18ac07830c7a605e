#!/usr/bin/env bash
# Judges the dependencies by deny.toml: licences, sources, duplicates; and advisories where their database can
# be reached. Installs cargo-deny for this user's cache if need be (some minutes, once).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.20.2
tools="${XDG_CACHE_HOME:-$HOME/.cache}/steadfast/tools"

# Built in a directory of its own, so that nothing of it mixes with the workspace's.
install_cargo_deny() {
    printf 'deny: installing cargo-deny %s\n' "$version"
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny
}

# Not reaching the database is no failure of this tree; a known advisory is.
check_advisories() {
    if timeout 30 "${deny[@]}" fetch db >/dev/null 2>&1; then
        "${deny[@]}" check --disable-fetch advisories
    else
        printf 'deny: advisories NOT checked: their database cannot be reached from here\n'
    fi
}

deny=("$tools/bin/cargo-deny" --workspace --locked)
if [ "$("${deny[0]}" --version 2>/dev/null)" != "cargo-deny $version" ]; then
    install_cargo_deny
fi
"${deny[@]}" check bans licenses sources
check_advisories
