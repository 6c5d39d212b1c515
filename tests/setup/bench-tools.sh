#!/bin/sh
# Installs what `make bench` runs beside portlabel, those that are missing, without starting any server among them. What
# cannot be installed is left out of the table.
set -u

for tools in "editcap:wireshark-common capinfos:wireshark-common tshark" gzip zstd tcpdump softflowd argus:argus-server \
    nfpcapd:nfdump ndpiReader:libndpi-bin; do
    # shellcheck disable=SC2086 # a list of words
    "$(dirname "$0")/install-debian.sh" $tools || echo "Left out: $tools" >&2
done
