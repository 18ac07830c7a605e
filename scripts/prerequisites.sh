#!/usr/bin/env bash
# Checks for what building needs beside the crates: cargo, a C++ compiler and libclang (RocksDB is C++, and its
# binding is generated from its header by bindgen, which loads libclang), make and git.
#
# What is missing is installed where that takes no questions: as root on Debian and its relatives. Elsewhere
# the command that installs it is printed, and this ends with 1. cargo itself is never installed from here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'prerequisites: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# "at_least 1.89 1.95.0": the second version is not older than the first.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

check_cargo() {
    local wanted found
    wanted=$(sed -n 's/^rust-version *= *"\(.*\)".*/\1/p' Cargo.toml)
    if ! has cargo; then
        say "cargo is missing. Install Rust $wanted or newer: https://rustup.rs"
        return 1
    fi
    found=$(cargo --version | awk '{print $2}')
    if ! at_least "$wanted" "$found"; then
        say "cargo is $found, but Rust $wanted or newer is needed: rustup update stable, or https://rustup.rs"
        return 1
    fi
}

# A C++ compiler, and the linker driver that rustc calls.
has_compiler() {
    { has "${CXX:-c++}" || has g++ || has clang++; } && { has cc || has gcc || has clang; }
}

# One of these files exists.
exists() {
    local file
    for file in "$@"; do
        [ -e "$file" ] && return 0
    done
    return 1
}

# libclang in one of the places that bindgen looks in, and the compiler's own headers (stddef.h), which are not
# always installed with it. libclang-cpp.so is another library. LIBCLANG_PATH is trusted.
has_libclang() {
    local dir library='' headers=''
    local dirs=(/usr/lib/llvm-*/lib /usr/local/llvm*/lib /usr/lib /usr/lib64 /usr/lib/*-linux-gnu /usr/local/lib
        /opt/homebrew/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib)
    [ -z "${LIBCLANG_PATH:-}" ] || return 0
    has llvm-config && dirs+=("$(llvm-config --libdir)")
    for dir in "${dirs[@]}"; do
        exists "$dir"/libclang.so* "$dir"/libclang-[0-9]*.so* "$dir"/libclang.dylib && library=found
        exists "$dir"/clang/*/include/stddef.h && headers=found
    done
    [ -n "$library" ] && [ -n "$headers" ]
}

# What is missing, as Debian calls it. libclang-dev brings the compiler's own headers (stddef.h) too; the
# package clang is not needed.
missing_packages() {
    has_compiler || printf 'g++ '
    has_libclang || printf 'libclang-dev '
    has make || printf 'make '
    has git || printf 'git '
}

# Silent unless it fails.
install_with_apt() {
    say "installing with apt-get: $*"
    local output apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    export DEBIAN_FRONTEND=noninteractive
    output=$({ "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } </dev/null 2>&1) ||
        say "apt-get failed:"$'\n'"$output"
}

# The command for this system, to be run by the reader.
advise() {
    local sudo='sudo '
    [ "$(id -u)" = 0 ] && sudo=
    say "missing: $*"
    if has apt-get; then
        say "run: ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends $*"
    elif has dnf; then
        say "run: ${sudo}dnf install -y gcc-c++ clang-devel make git"
    elif has pacman; then
        say "run: ${sudo}pacman -S --needed gcc clang make git"
    elif has apk; then
        say "run: ${sudo}apk add g++ clang-dev make git"
    elif has brew; then
        say "run: xcode-select --install && brew install llvm"
    else
        say "install a C++ compiler, libclang with its headers, make and git"
    fi
    say "libclang in an unusual place: set LIBCLANG_PATH to its directory"
}

check_packages() {
    local missing
    read -ra missing <<<"$(missing_packages)"
    [ "${#missing[@]}" = 0 ] && return 0
    if has apt-get && [ "$(id -u)" = 0 ]; then
        install_with_apt "${missing[@]}"
        read -ra missing <<<"$(missing_packages)"
        [ "${#missing[@]}" = 0 ] && return 0
    fi
    advise "${missing[@]}"
    return 1
}

check_packages
check_cargo
