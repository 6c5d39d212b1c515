#!/bin/sh
# Says how to install what fuzzing takes, and fails, where it is missing.
set -eu

if cargo +nightly --version >/dev/null 2>&1 && cargo fuzz --version >/dev/null 2>&1; then exit 0; fi
echo "Fuzzing takes a nightly compiler and cargo-fuzz: rustup toolchain install nightly; cargo install cargo-fuzz" >&2
exit 1
