#!/usr/bin/env bash
# Tries every claim as often as it says, and prints a table: claim, tries, violations, and the commits whose programs were
# tried. Goes on where it stopped: what was tried is in $PROOF_DIR, by default beside the build. Remove that to begin
# anew. A violation ends its claim for this run.
# Usage: scripts/proof.sh [CLAIM...]; PROOF_SECONDS bounds the time of this run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CARGO_TARGET_DIR:?is set by the Makefile: use make proof}"

state=${PROOF_DIR:-$CARGO_TARGET_DIR/proof}
limit=${PROOF_SECONDS:-999999}
mkdir -p "$state"

# claim, tries wanted, tries at once, who tries: a test, or `sim`.
claims='
simulated_seeds 100000 10000 sim
mutants 15 15 mutants::simulation_finds_every_mistake_and_nothing_without
failpoints 1000 166 failpoints::an_end_at_any_point_loses_and_doubles_nothing
histories 10000 2000 histories::every_history_of_a_node_is_explained_by_one_list
killed_histories 500 50 histories::killed::every_history_of_killed_processes_is_explained_by_one_sum
keyed_commands 1000000 50000 keyed::keyed_commands_take_effect_once_over_crashes
timers 100000 20000 jumps::timers_fire_once_and_never_early_over_jumps_of_the_clock
clock_jumps 2000 200 clocks::a_process_whose_clock_jumps_goes_on_and_loses_nothing
http_requests 1000000 100000 http_input::mutated_http_neither_breaks_the_node_nor_changes_what_nobody_changed
decoder_executions 100000000 5000000 decoders::no_bytes_break_a_decoder
memory_limits 50 10 limits::a_process_without_memory_loses_nothing
memory_groups 100 20 limits::a_process_that_is_killed_for_its_memory_loses_nothing
file_limits 50 10 limits::a_start_with_too_few_files_says_so_and_loses_nothing
power_cuts_ext4 1500 50 powercut::power_cuts_lose_nothing_on_ext4
power_cuts_xfs 500 50 powercut::power_cuts_lose_nothing_on_xfs
mutations 10000 400 mutations::no_damage_takes_anything_without_a_word
each_call 2128 100 each_call::each_call_may_fail_once
full_disks 100 10 disk::full_disk_refuses_and_goes_on_when_there_is_space
handler_panics 10000 1000 panics::panic_loses_and_doubles_nothing_in_flight
failed_syncs 500 40 syncs::failed_sync_is_not_repeated_and_loses_nothing
sick_disks 20 5 syncs::sick_disk_is_read_only_until_it_is_well
transfer_kills 1000 20 transfers::transfers_keep_the_sum_over_kills
kills 10000 100 crash::crash_loop_loses_and_doubles_nothing
'

# The integration tests, as cargo built them.
integration() {
    cargo test --release --workspace --test integration --no-run --message-format=json 2>/dev/null \
        | sed -n 's/.*"executable":"\([^"]*\/integration-[^"]*\)".*/\1/p' | tail -n 1
}

count() { cat "$state/$1.$2" 2>/dev/null || echo 0; }

add() { echo $(($(count "$1" "$2") + $3)) >"$state/$1.$2"; }

# This source, with a + where it was changed since.
commit=$(git describe --always --dirty=+ 2>/dev/null || echo unknown)

# The first and the last commit that a claim was tried at.
commits() {
    local file=$state/$1.commits
    [ -s "$file" ] || return 0
    local first last
    first=$(head -n 1 "$file")
    last=$(tail -n 1 "$file")
    if [ "$first" = "$last" ]; then echo "$first"; else echo "$first to $last"; fi
}

# One go at a claim; false where it did not hold. What it did not hold in is kept as a log.
try() {
    local claim=$1 at_once=$2 who=$3 tried log
    log=$state/$claim.log
    if [ "$who" = sim ]; then
        "$CARGO_TARGET_DIR/release/steadfast-sim" "$at_once" "$(count "$claim" tries)" >"$log" 2>&1 && outcome=0 || outcome=$?
        tried=$at_once
    else
        STEADFAST_TEST_TRIES=$at_once STEADFAST_TEST_FROM=$(count "$claim" tries) "$tests" --exact "$who" --nocapture >"$log" 2>&1 && outcome=0 || outcome=$?
        tried=$(sed -n "s/^proved: $claim \([0-9]*\)$/\1/p" "$log" | tail -n 1)
    fi
    echo "$commit" >>"$state/$claim.commits"
    if [ "$outcome" != 0 ]; then
        add "$claim" violations 1
        # At least that one was tried.
        add "$claim" tries 1
        cp "$log" "$state/$claim.violation.$(date +%s).log"
        return 1
    elif [ -z "$tried" ]; then
        grep -m 1 SKIPPED "$log" >"$state/$claim.skipped" || { echo "$claim: neither tried nor skipped: $log"; exit 1; }
    else
        add "$claim" tries "$tried"
    fi
}

table() {
    printf '\n| claim | tries | of | violations | at | |\n| --- | ---: | ---: | ---: | --- | --- |\n'
    while read -r claim wanted _; do
        [ -n "$claim" ] || continue
        printf '| %s | %s | %s | %s | %s | %s |\n' "${claim//_/ }" "$(count "$claim" tries)" "$wanted" \
            "$(count "$claim" violations)" "$(commits "$claim")" "$(cat "$state/$claim.skipped" 2>/dev/null || true)"
    done <<<"$claims"
}

tests=$(integration)
[ -x "$tests" ] || { echo "proof: the integration tests are not built"; exit 1; }
rm -f "$state"/*.skipped
while read -r claim wanted at_once who; do
    [ -n "$claim" ] || continue
    if [ $# != 0 ] && [[ " $* " != *" $claim "* ]]; then continue; fi
    while [ "$(count "$claim" tries)" -lt "$wanted" ] && [ ! -e "$state/$claim.skipped" ] && [ "$SECONDS" -lt "$limit" ]; do
        left=$((wanted - $(count "$claim" tries)))
        held=yes
        try "$claim" $((at_once < left ? at_once : left)) "$who" || held=no
        echo "$claim: $(count "$claim" tries) of $wanted, $(count "$claim" violations) violations, after $SECONDS s"
        [ "$held" = yes ] || break
    done
done <<<"$claims"
table
find "$state" -name '*.violations' -exec cat {} + | awk '{ sum += $1 } END { exit sum > 0 }'
