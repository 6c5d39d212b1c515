#!/bin/sh
# Installs the programs the tests run, those that are missing.
set -eu
exec "$(dirname "$0")/install-debian.sh" tshark tcpdump python3 zstd lz4 gzip tmux \
    ip:iproute2 unshare:util-linux setpriv:util-linux make man:man-db systemd-analyze:systemd bash zsh fish
