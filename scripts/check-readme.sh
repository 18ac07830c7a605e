#!/usr/bin/env bash
# The Rust in README.md is that of the example it names: every line of it, in the same order. Comments that
# begin with "// ..." stand for what was left out; blank lines and depth of indentation do not count.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

trim() { sed -e 's/^[[:space:]]*//' -e '/^$/d'; }

awk 'NR == FNR { wanted[++count] = $0; next }
    next_line < count && $0 == wanted[next_line + 1] { next_line++ }
    END {
        if (count == 0) { print "README.md: no Rust found"; exit 1 }
        if (next_line < count) { printf "README.md: not in counter.rs, or not in this order: %s\n", wanted[next_line + 1]; exit 1 }
    }' <(sed -n '/^```rust$/,/^```$/p' README.md | grep -v '^```' | trim | grep -v '^// \.\.\.') \
    <(trim <runtime/examples/counter.rs)
