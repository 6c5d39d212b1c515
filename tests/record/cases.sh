# shellcheck shell=bash
# One function a case: make the namespaces, start servers, capture, talk, wait for the packets.
# The order is the order of fixtures/README.md. Sourced by record.sh.

case_names=(office https http dns ssh smtp ntp postgresql redis ftp dhcp icmp ipv6 fragments vlan qinq vxlan
    scan snaplen big-tcp idle cooked cooked-v1 mixed-links sctp udplite)

case_office() {
    make_pair
    start_nginx
    start_dnsmasq
    start_sshd
    start_smtpd
    start_chronyd
    start_redis
    start_postgresql
    capture_pcapng "$client" eth0
    query www.example >/dev/null
    query www.example AAAA >/dev/null
    fetch https://www.example/ https://www.example/page.txt
    fetch http://www.example/
    web_addr=[$server_addr6] fetch https://www.example/page.txt
    ask_time
    send_mail
    redis set colour blue
    redis get colour
    sql -c 'select 1'
    remote true
    in_client ping -q -c 2 -i 0.2 $server_addr >/dev/null
    query nothing.example >/dev/null
    wait_packets 1 'dns.flags.rcode == 3'
    stop_capture
}

case_https() {
    make_pair v4only
    start_nginx
    capture "$server" eth0
    fetch https://www.example/ https://www.example/page.txt https://www.example/missing
    fetch --http1.1 https://www.example/page.txt
    wait_packets 4 'tcp.flags.fin == 1 && tcp.port == 443'
    stop_capture
}

case_http() {
    make_pair v4only
    start_nginx
    capture_pcapng "$server" eth0
    fetch http://www.example/ http://www.example/page.txt http://www.example/missing
    fetch -X POST --data 'a=b' http://www.example/
    # Nothing listens there: the connection is refused.
    fetch http://$server_addr:8080/ 2>/dev/null || true
    wait_packets 4 'tcp.flags.fin == 1 && tcp.port == 80'
    wait_packets 1 'tcp.flags.reset == 1 && tcp.port == 8080'
    stop_capture
}

case_dns() {
    make_pair v4only
    start_dnsmasq
    capture "$server" eth0 --nano
    query www.example A >/dev/null
    query www.example AAAA >/dev/null
    query nothing.example A >/dev/null
    query +tcp www.example A >/dev/null
    # Too long for 512 bytes: truncated over UDP, then asked again over TCP.
    query +noedns long.example TXT >/dev/null
    wait_packets 4 'tcp.flags.fin == 1 && tcp.port == 53'
    stop_capture
}

case_ssh() {
    make_pair v4only
    start_sshd
    capture "$server" eth0
    remote 'seq 1 500' >/dev/null
    wait_packets 2 'tcp.flags.fin == 1 && tcp.port == 22'
    stop_capture
}

case_smtp() {
    make_pair v4only
    start_smtpd
    capture "$server" eth0
    send_mail
    send_mail --to nobody@example,stranger@elsewhere
    wait_packets 4 'tcp.flags.fin == 1 && tcp.port == 25'
    stop_capture
}

case_ntp() {
    make_pair
    start_chronyd
    capture "$server" eth0
    ask_time
    ask_time $server_addr6
    wait_packets 8 ntp
    stop_capture
}

case_postgresql() {
    make_pair v4only
    start_postgresql
    capture "$server" eth0
    sql -c 'create table t (id int, name text)' -c "insert into t select n, 'name ' || n from generate_series(1, 50) n" \
        -c 'select * from t'
    wait_packets 2 'tcp.flags.fin == 1 && tcp.port == 5432'
    stop_capture
}

case_redis() {
    make_pair v4only
    start_redis
    capture "$server" eth0
    redis ping
    redis set colour blue
    redis get colour
    redis -r 20 incr counter
    wait_packets 8 'tcp.flags.fin == 1 && tcp.port == 6379'
    stop_capture
}

# Passive, then active: there the server opens the data connection from port 20.
case_ftp() {
    make_pair v4only
    mkdir -p "$work/ftp" "$work/empty"
    head -c 3000 /dev/zero | tr '\0' 'x' >"$work/ftp/file.txt"
    cat >"$work/vsftpd.conf" <<CONF
listen=YES
background=NO
anonymous_enable=YES
anon_root=$work/ftp
secure_chroot_dir=$work/empty
connect_from_port_20=YES
seccomp_sandbox=NO
CONF
    background vsftpd in_server vsftpd "$work/vsftpd.conf"
    wait_listening tcp 21
    capture "$server" eth0
    fetch ftp://$server_addr/file.txt
    fetch --ftp-port - ftp://$server_addr/file.txt
    wait_packets 8 'tcp.flags.fin == 1'
    stop_capture
}

case_dhcp() {
    make_pair v4only
    ip -n "$client" addr flush dev eth0
    start_dnsmasq --dhcp-range=192.0.2.100,192.0.2.100,1h --dhcp-leasefile="$work/leases" --no-ping
    capture "$server" eth0
    # Gets a lease and configures nothing.
    in_client busybox udhcpc -i eth0 -n -q -f -s /bin/true >"$work/udhcpc.log" 2>&1
    wait_packets 4 dhcp
    stop_capture
}

case_icmp() {
    make_pair
    capture "$server" eth0
    in_client ping -q -c 3 -i 0.2 $server_addr >/dev/null
    in_client ping -q -c 3 -i 0.2 $server_addr6 >/dev/null
    # No name server runs: each query comes back inside a port-unreachable error.
    query www.example >/dev/null || true
    in_client dig +tries=1 +time=2 @$server_addr6 www.example >/dev/null || true
    wait_packets 1 'icmp.type == 3'
    wait_packets 1 'icmpv6.type == 1'
    stop_capture
}

case_ipv6() {
    make_pair
    start_nginx
    start_dnsmasq
    capture "$server" eth0
    in_client dig @$server_addr6 www.example AAAA >/dev/null
    in_client dig +tcp @$server_addr6 www.example AAAA >/dev/null
    web_addr=[$server_addr6] fetch http://www.example/page.txt
    web_addr=[$server_addr6] fetch https://www.example/page.txt
    wait_packets 6 'tcp.flags.fin == 1'
    stop_capture
}

case_fragments() {
    make_pair
    start_dnsmasq
    capture "$server" eth0 -s 128
    query +bufsize=4096 +ignore long.example TXT >/dev/null
    in_client dig +bufsize=4096 +ignore @$server_addr6 long.example TXT >/dev/null
    wait_packets 1 'ip.flags.mf == 0 && ip.frag_offset > 0'
    wait_packets 1 'ipv6.fraghdr.more == 0 && ipv6.fraghdr.offset > 0'
    stop_capture
}

case_vlan() {
    make_switched_pair 100
    start_nginx
    start_dnsmasq
    capture "$switch" trunk2
    query www.example >/dev/null
    fetch http://www.example/page.txt
    wait_packets 2 'tcp.flags.fin == 1 && vlan.id == 100'
    stop_capture
}

case_qinq() {
    make_switched_pair 100 200
    start_nginx
    start_dnsmasq
    capture "$switch" trunk2
    query www.example >/dev/null
    fetch https://www.example/page.txt
    wait_packets 2 'tcp.flags.fin == 1 && ieee8021ad.id == 200 && vlan.id == 100'
    stop_capture
}

case_vxlan() {
    make_pair v4only
    ip -n "$client" link add vx0 address 02:00:00:00:01:01 type vxlan id 42 remote $server_addr local $client_addr \
        dstport 4789 dev eth0
    ip -n "$server" link add vx0 address 02:00:00:00:01:02 type vxlan id 42 remote $client_addr local $server_addr \
        dstport 4789 dev eth0
    in_client sysctl -qw net.ipv6.conf.vx0.disable_ipv6=1
    in_server sysctl -qw net.ipv6.conf.vx0.disable_ipv6=1
    ip -n "$client" addr add 198.51.100.1/24 dev vx0
    ip -n "$server" addr add 198.51.100.2/24 dev vx0
    ip -n "$client" link set vx0 up
    ip -n "$server" link set vx0 up
    start_redis 0.0.0.0
    start_dnsmasq
    capture "$server" eth0
    in_client redis-cli -h 198.51.100.2 set colour blue >/dev/null
    in_client dig @198.51.100.2 www.example >/dev/null
    # The same service outside the tunnel.
    redis get colour
    wait_packets 4 'tcp.flags.fin == 1'
    stop_capture
}

# Two ports open, ports from 100 up filtered, the rest closed.
case_scan() {
    make_pair v4only
    start_nginx
    start_redis
    in_server nft -f - <<'RULES'
table ip filter {
    chain input { type filter hook input priority 0; tcp dport 100-130 drop; }
}
RULES
    capture "$server" eth0
    in_client nmap -sS -n -Pn -T4 --max-retries 1 -p 1-199,6379 $server_addr >"$work/nmap.log"
    wait_packets 62 'tcp.dstport >= 100 && tcp.dstport <= 130'
    wait_packets 1 'tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.srcport == 6379'
    stop_capture
}

case_snaplen() {
    make_pair v4only
    # With offloads the host hands over segments of up to 64 kB, larger than any MTU.
    in_client ethtool -K eth0 tso on gso on gro on tx on >/dev/null
    in_server ethtool -K eth0 tso on gso on gro on tx on >/dev/null
    start_nginx
    capture "$server" eth0 -s 96
    fetch http://www.example/large.bin
    wait_packets 2 'tcp.flags.fin == 1'
    stop_capture
}

# IPv6 segments above 64 kB: the length field is 0, a jumbo option in a hop-by-hop header has the length.
case_big-tcp() {
    make_pair
    in_client ethtool -K eth0 tso on gso on gro on tx on >/dev/null
    in_server ethtool -K eth0 tso on gso on gro on tx on >/dev/null
    ip -n "$client" link set eth0 gso_max_size 185000 gro_max_size 185000
    ip -n "$server" link set eth0 gso_max_size 185000 gro_max_size 185000
    start_nginx
    capture "$server" eth0 -s 128
    web_addr=[$server_addr6] fetch http://www.example/large.bin
    wait_packets 2 'tcp.flags.fin == 1'
    stop_capture
}

# The silence is what is recorded, so these sleeps are the point: 310 seconds for TCP, 130 for UDP.
case_idle() {
    make_pair v4only
    start_postgresql
    start_dnsmasq
    capture "$server" eth0
    {
        echo 'select 1;'
        query -b "$client_addr#40000" www.example >/dev/null
        sleep 130
        query -b "$client_addr#40000" www.example >/dev/null
        sleep 180
        echo 'select 2;'
    } | sql
    wait_packets 2 'tcp.flags.fin == 1 && tcp.port == 5432'
    wait_packets 4 dns
    stop_capture
}

# Traffic over two devices, eth0 and lo, in one file.
talk_on_two_devices() {
    query www.example >/dev/null
    fetch http://www.example/page.txt
    in_server dig @127.0.0.1 www.example >/dev/null
    wait_packets 2 'tcp.flags.fin == 1'
    wait_packets 2 'dns.flags.response == 1'
    stop_capture
}

case_cooked() {
    make_pair
    start_nginx
    start_dnsmasq
    capture "$server" any
    talk_on_two_devices
}

case_cooked-v1() {
    make_pair
    start_nginx
    start_dnsmasq
    capture "$server" any -y LINUX_SLL
    talk_on_two_devices
}

# `ssh -w` joins two tun devices: raw IP inside, Ethernet outside, both in one pcapng file.
case_mixed-links() {
    make_pair v4only
    start_sshd
    start_dnsmasq
    start_redis 0.0.0.0
    background tunnel remote -N -w 0:0
    wait_for in_client ip link show tun0
    wait_for in_server ip link show tun0
    in_client sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1
    in_server sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1
    ip -n "$client" addr add 198.51.100.1 peer 198.51.100.2 dev tun0
    ip -n "$server" addr add 198.51.100.2 peer 198.51.100.1 dev tun0
    ip -n "$client" link set tun0 up
    ip -n "$server" link set tun0 up
    capture_pcapng "$client" eth0 tun0
    in_client dig @198.51.100.2 www.example >/dev/null
    in_client redis-cli -h 198.51.100.2 set colour blue >/dev/null
    redis get colour
    wait_packets 4 'tcp.flags.fin == 1 && tcp.port == 6379'
    stop_capture
}

# SCTP in user space over raw IP, as not every kernel has it. The client sends what it reads and does not wait.
case_sctp() {
    make_pair v4only
    background discard in_server /usr/lib/usrsctp/discard_server
    wait_for in_server_has_raw_socket 132
    capture "$server" eth0
    {
        echo hello
        wait_packets 1 'sctp.chunk_type == 0'
        echo again
        wait_packets 2 'sctp.chunk_type == 0'
    } | in_client /usr/lib/usrsctp/client $server_addr 9 40000 0 0 >"$work/client.log" 2>&1
    wait_packets 1 'sctp.chunk_type == 14'
    stop_capture
}

in_server_has_raw_socket() { [[ -n $(in_server ss -Hlnw "sport = :$1") ]]; }

# Socket type 2 is datagram, protocol 136 UDP-Lite; port 7, then padding up to the size of an address.
case_udplite() {
    make_pair v4only
    background echo in_server socat SOCKET-RECVFROM:2:2:136:x0007x00000000x0000000000000000,fork EXEC:cat
    wait_for in_server grep -q ':0007 ' /proc/net/udplite
    capture "$server" eth0
    {
        echo hello
        wait_packets 2 udplite
    } | in_client socat -t 0.2 - SOCKET-SENDTO:2:2:136:x0007xc0000202x0000000000000000 >/dev/null
    wait_packets 2 udplite
    stop_capture
}
