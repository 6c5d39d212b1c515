#!/bin/sh
# Installs cargo-fuzz below target/tools where it is missing; says how to install a nightly compiler, and fails, where there is
# none.
set -eu
cd "$(dirname "$0")/../.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "Fuzzing takes a nightly compiler: rustup toolchain install nightly" >&2
    exit 1
fi
PATH="$PWD/target/tools/bin:$PATH" cargo fuzz --version >/dev/null 2>&1 ||
    cargo install --quiet --locked --root target/tools cargo-fuzz
