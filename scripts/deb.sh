#!/usr/bin/env bash
# Makes the Debian package and looks at it: its contents, its scripts, its unit, and the program as it lies in there.
# The program is built by itself: one that is built together with the tests has the points at which they end it.
# Installs cargo-deb for this user's cache if need be (some minutes, once).
# Usage: scripts/deb.sh [DIRECTORY]; the package goes there, by default to packages/ of the target directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CARGO_TARGET_DIR:?is set by the Makefile: use make deb}"

version=3.8.0
tools="${XDG_CACHE_HOME:-$HOME/.cache}/steadfast/tools"
out=${1:-$CARGO_TARGET_DIR/packages}
built=$CARGO_TARGET_DIR/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! command -v dpkg-deb >/dev/null; then
    printf 'deb: SKIPPED: there is no dpkg-deb here\n'
    exit 0
fi
if [ "$("$tools/bin/cargo-deb" --version 2>/dev/null)" != "cargo-deb $version" ]; then
    printf 'deb: installing cargo-deb %s\n' "$version"
    if ! env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$tools" --version "$version" cargo-deb; then
        printf 'deb: SKIPPED: cargo-deb cannot be installed here\n'
        exit 0
    fi
fi

cargo build --release ${CI:+--locked} --package steadfast-agent
if cargo tree ${CI:+--locked} --package steadfast-agent --edges features | grep -qE '"(failpoints|mutants)"'; then
    printf 'deb: the program would have what only tests may have\n'
    exit 1
fi

# What the program says of itself.
rm -rf "$built/packaging"
mkdir -p "$built/packaging" "$out"
"$built/steadfast" man "$built/packaging/man" 2>/dev/null
gzip -9 -n "$built"/packaging/man/*.1
for shell in bash zsh fish; do
    "$built/steadfast" completions "$shell" >"$built/packaging/steadfast.$shell"
done
"$built/steadfast" config schema >"$built/packaging/steadfast.schema.json"

"$tools/bin/cargo-deb" --no-build --package steadfast-agent --output "$out/" >"$work/path"
package=$(tail -n 1 "$work/path")
dpkg-deb --info "$package" | sed -n '/^ Package:/,$p'

# The contents, but for the manual pages, of which there is one for each command.
dpkg-deb --extract "$package" "$work/root"
dpkg-deb --control "$package" "$work/control"
diff - <(cd "$work/root" && find . -type f ! -path '*/man1/steadfast-*' | LC_ALL=C sort) <<'TEXT'
./etc/steadfast/steadfast.toml
./usr/bin/steadfast
./usr/lib/systemd/system/steadfast.service
./usr/lib/sysusers.d/steadfast.conf
./usr/share/bash-completion/completions/steadfast
./usr/share/doc/steadfast/LICENSE-APACHE
./usr/share/doc/steadfast/LICENSE-MIT
./usr/share/doc/steadfast/README.md
./usr/share/doc/steadfast/copyright
./usr/share/doc/steadfast/examples/paths.conf
./usr/share/fish/vendor_completions.d/steadfast.fish
./usr/share/man/man1/steadfast.1.gz
./usr/share/steadfast/steadfast.schema.json
./usr/share/zsh/vendor-completions/_steadfast
TEXT
# dpkg keeps what an operator changed.
grep -qx /etc/steadfast/steadfast.toml "$work/control/conffiles"
for script in postinst prerm postrm; do
    sh -n "$work/control/$script"
done
grep -q 'systemd-sysusers.*steadfast.conf' "$work/control/postinst"
# The configuration may hold secrets: it is for root and the node's group, before the unit is started.
[ "$(stat -c %a "$work/root/etc/steadfast/steadfast.toml")" = 640 ]
grep -nE 'chgrp steadfast|deb-systemd-invoke' "$work/control/postinst" | head -n 1 | grep -q chgrp

# The program runs from there, and takes the configuration that comes with it.
"$work/root/usr/bin/steadfast" version
"$work/root/usr/bin/steadfast" check --config "$work/root/etc/steadfast/steadfast.toml"
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers --root="$work/root" steadfast.conf
    grep '^steadfast:' "$work/root/etc/passwd"
else
    printf 'deb: the user was NOT tried: there is no systemd-sysusers here\n'
fi
bash scripts/unit.sh "$work/root"
printf 'deb: %s\n' "$package"
