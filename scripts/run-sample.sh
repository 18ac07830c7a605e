#!/usr/bin/env bash
# A node that can be tried at once: `make run` starts it. All it touches is in run/ of this checkout.
# Usage: scripts/run-sample.sh PATH-OF-STEADFAST
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steadfast=${1:?usage: scripts/run-sample.sh PATH-OF-STEADFAST}
steadfast=${steadfast#"$PWD"/}

# Sixteen logs in two directories. The older half is over the sample's limit of age at once; the younger
# half is soon, and the newest of a directory stays in any case.
make_sample() {
    local directory number
    for directory in run/sample/web run/sample/jobs; do
        mkdir -p "$directory"
        printf 'no log: nothing removes it\n' >"$directory/notes.txt"
        for number in 1 2 3 4 5 6 7 8; do
            printf 'line %d\n' {1..200} >"$directory/$number.log"
            [ "$number" -gt 4 ] || touch -d '3 hours ago' "$directory/$number.log"
        done
    done
}

explain() {
    cat <<TEXT

One node, in the foreground:
  configuration  run/steadfast.toml  (made from agent/config/sample.toml, yours to change)
  data           run/data            (journal and snapshots; remove it to begin anew)
  sample         run/sample          (16 logs, 8 of them three hours old, and 2 files that are no logs)
  process        $$
Every ten seconds the concern "tidy-sample" removes logs that nobody wrote to for a minute.
In another terminal, in this directory:

  alias sf='$steadfast --data-dir run/data'
  sf ps                                 # what is there, and how its last run went
  find run/sample -name '*.log'         # what is left on the disk
  sf state tidy-sample                  # totals: files and bytes removed
  sf events tidy-sample                 # every fact behind them, in order
  touch -d '3 hours ago' run/sample/web/new.log
  sf trigger tidy-sample --wait         # a run now; exit 0 only if it succeeded
  $(printf '%-37s' "kill -9 $$") # no farewell; then, without a node:
  sf state tidy-sample                  # read from the directory
  make run                              # goes on where it was

Ctrl-C ends it in order.

TEXT
}

mkdir -p run
[ -e run/steadfast.toml ] || cp agent/config/sample.toml run/steadfast.toml
make_sample
explain
exec "$steadfast" run --config run/steadfast.toml --data-dir run/data
