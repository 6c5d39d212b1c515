#!/bin/sh
# Installs the servers and clients that tests/record/ records, without starting any of them.
set -eu

exec "$(dirname "$0")/install-debian.sh" \
    ip:iproute2 ethtool nft:nftables tcpdump tshark dumpcap:wireshark-common openssl \
    nginx:nginx-light curl dnsmasq:dnsmasq-base dig:bind9-dnsutils sshd:openssh-server ssh:openssh-client \
    smtpd:opensmtpd swaks chronyd:chrony redis-server redis-cli:redis-tools psql:postgresql-client \
    pg_ctlcluster:postgresql vsftpd busybox ping:iputils-ping nmap socat ovs-vswitchd:openvswitch-switch \
    /usr/lib/usrsctp/client:libusrsctp-examples
