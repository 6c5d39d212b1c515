#!/bin/sh
# run.sh SECONDS: fuzzes each target for that long, one after the other, beginning with what comes of the captures of fixtures/
# (and of PORTLABEL_CORPUS where there is one). What was found to be of use stays in target/fuzz/corpus/, what fails in
# tests/fuzz/artifacts/. Exits at the first failure.
set -eu
cd "$(dirname "$0")/../.."
tests/setup/fuzz-tools.sh
PATH="$PWD/target/tools/bin:$PATH"

build=target/fuzz
cargo +nightly fuzz build --fuzz-dir tests/fuzz --target-dir "$build"
for target in $(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do
    echo "Fuzzing $target for $1 s ..." >&2
    corpus=$build/corpus/$target
    mkdir -p "$corpus"
    PORTLABEL_SEEDS=$corpus cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir "$build" "$target" "$corpus" -- \
        -max_total_time="$1" -max_len=16384 -timeout=60 -print_final_stats=1 -verbosity=0
done
