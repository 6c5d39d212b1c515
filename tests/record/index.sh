#!/usr/bin/env bash
# index.sh FIXTURES CASE...: writes the table of cases at the end of fixtures/README.md, from each case's README.md.
set -euo pipefail

cd "$1"
shift
text=$(sed '/^## Cases/,$d' README.md)
{
    printf '%s\n\n## Cases\n\n| case | what it shows | packets | wire bytes |\n|---|---|---|---|\n' "$text"
    for name; do
        [[ -f $name/README.md ]] || continue
        title=$(sed -n '1s/^# [^:]*: //p' "$name/README.md")
        sed -n "s/^Packets: \([0-9]*\)\. Wire bytes .*: \([0-9]*\)\.$/| [$name]($name\/) | $title | \1 | \2 |/p" "$name/README.md"
    done
} >README.new
mv README.new README.md
