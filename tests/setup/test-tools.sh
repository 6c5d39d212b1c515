#!/bin/sh
# Installs the programs the tests run, those that are missing, without starting any server among them.
set -eu

tools="tshark tcpdump python3 pip3:python3-pip zstd lz4 gzip tmux make man:man-db systemd-analyze:systemd bash zsh fish unshare:util-linux \
    promtool:prometheus prometheus-node-exporter \
    /usr/lib/python3/dist-packages/prometheus_client/parser.py:python3-prometheus-client"
# Live tests make network namespaces, which takes root.
if [ "$(id -u)" -eq 0 ]; then
    tools="$tools ip:iproute2 setpriv:util-linux setcap:libcap2-bin ping:iputils-ping tcpreplay openssl \
        nginx:nginx-light curl sshd:openssh-server ssh:openssh-client dnsmasq:dnsmasq-base dig:bind9-dnsutils chronyd:chrony"
fi
# The page is looked at in a browser.
tools="$tools chromium chromedriver:chromium-driver npm"
# shellcheck disable=SC2086 # a list of words
"$(dirname "$0")/install-debian.sh" $tools

# What Debian does not have: a checker of accessibility, and another implementation of HdrHistogram.
place="$(dirname "$0")/../../target/tools"
if ! grep -qs '"version": "4.14.1"' "$place/node_modules/axe-core/package.json"; then
    mkdir -p "$place"
    npm install --prefix "$place" --no-save --ignore-scripts --no-audit --no-fund axe-core@4.14.1
fi
if ! [ -e "$place/python/hdrhistogram-0.10.3.dist-info" ]; then
    python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check \
        --target "$place/python" hdrhistogram==0.10.3
fi
