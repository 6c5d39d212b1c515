#!/usr/bin/env bash
# Records the fixtures anew: record.sh [CASE...], all of them without an argument.
# Needs root (for network namespaces) and the programs of tests/setup/record-tools.sh.
# One case fails: its old capture stays, the others go on, the exit code is 1.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fixtures=$(cd "$here/../../fixtures" && pwd)
export LC_ALL=C TZ=UTC

# shellcheck source=tests/record/lib.sh
source "$here/lib.sh"
# shellcheck source=tests/record/servers.sh
source "$here/servers.sh"
# shellcheck source=tests/record/switch.sh
source "$here/switch.sh"
# shellcheck source=tests/record/cases.sh
source "$here/cases.sh"

# Always called with `&`: in a shell of its own, and with `set -e`, which is off in a function called as a condition.
record() {
    case_id=$BASHPID
    work=$(mktemp -d)
    chmod 755 "$work" # some servers give up root
    trap clean_up EXIT
    trap 'exit 1' INT TERM
    "case_$1"
    mkdir -p "$fixtures/$1"
    rm -f "$fixtures/$1"/capture.*
    install -m 644 "$capture_file" "$fixtures/$1/"
    "$here/totals.sh" "$fixtures/$1"
}

# The case cleans up by its own trap, which runs when the command it waits for has ended.
trap 'kill "$recording" 2>/dev/null; wait; exit 1' INT TERM

failed=()
for name in "${@:-${case_names[@]}}"; do
    if ! declare -F "case_$name" >/dev/null; then
        echo "no such case: $name (there are: ${case_names[*]})" >&2
        exit 2
    fi
    echo "recording $name" >&2
    record "$name" &
    recording=$!
    wait "$recording" || failed+=("$name")
done
"$here/index.sh" "$fixtures" "${case_names[@]}"
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
