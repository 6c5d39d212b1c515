# shellcheck shell=bash
# Shared helpers: two network namespaces joined by a veth pair, a capture, and waits.
# Sourced by record.sh, which runs every case in a subshell of its own.
#
#   client eth0 192.0.2.1 2001:db8::1  <------->  server eth0 192.0.2.2 2001:db8::2
#
# Nothing here reaches the host's own network: the namespaces have no route out.

client_addr=192.0.2.1 client_addr6=2001:db8::1
server_addr=192.0.2.2 server_addr6=2001:db8::2

in_client() { ip netns exec "$client" "$@"; }
in_server() { ip netns exec "$server" "$@"; }

# new_namespace NAME: prints the full name. The process id keeps two recordings apart.
new_namespace() {
    local name=portlabel-$case_id-$1
    ip netns add "$name"
    # No router solicitations, no link-local address: less noise that differs from run to run.
    ip netns exec "$name" sysctl -qw net.ipv6.conf.default.router_solicitations=0 \
        net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.accept_dad=0
    ip -n "$name" link set lo up
    printf '%s\n' "$name"
}

# Frames as they would be on a wire: no segments larger than the MTU, checksums filled in.
offloads_off() { # NAMESPACE DEVICE
    ip netns exec "$1" ethtool -K "$2" tso off gso off gro off tx off >/dev/null
}

# make_pair [v4only]: v4only keeps IPv6 (and its multicast listener reports) off the link.
make_pair() {
    client=$(new_namespace client)
    server=$(new_namespace server)
    ip -n "$client" link add eth0 address 02:00:00:00:00:01 type veth \
        peer name eth0 address 02:00:00:00:00:02 netns "$server"
    if [[ ${1-} == v4only ]]; then
        in_client sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
        in_server sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
    else
        ip -n "$client" addr add $client_addr6/64 dev eth0 nodad
        ip -n "$server" addr add $server_addr6/64 dev eth0 nodad
    fi
    ip -n "$client" addr add $client_addr/24 broadcast + dev eth0
    ip -n "$server" addr add $server_addr/24 broadcast + dev eth0
    offloads_off "$client" eth0
    offloads_off "$server" eth0
    ip -n "$client" link set eth0 up
    ip -n "$server" link set eth0 up
}

# background LOG COMMAND...: runs until the case ends.
background() {
    local log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 </dev/null &
}

# wait_for COMMAND...: polls until it succeeds; after 20 seconds the case fails.
wait_for() {
    local tries
    for ((tries = 0; tries < 400; tries++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    echo "gave up waiting for: $*" >&2
    tail -n 5 "$work"/*.log >&2
    return 1
}

# listening tcp|udp PORT [NAMESPACE]
listening() {
    [[ -n $(ip netns exec "${3-$server}" ss -Hln "--$1" "sport = :$2") ]]
}

wait_listening() { wait_for listening "$@"; }

# capture NAMESPACE DEVICE [TCPDUMP OPTIONS...]
# Immediate mode, so that no packet waits in a half-full buffer when the capture is stopped.
capture() {
    local namespace=$1 device=$2
    shift 2
    capture_file=$work/capture.pcap
    ip netns exec "$namespace" tcpdump -i "$device" -w "$capture_file" -U --immediate-mode -Z root "$@" \
        2>"$work/capture.log" &
    capture_pid=$!
    wait_for grep -q 'listening on' "$work/capture.log"
}

# capture_pcapng NAMESPACE DEVICE...: one interface block for each device.
capture_pcapng() {
    local namespace=$1 devices=() device
    shift
    for device; do devices+=(-i "$device"); done
    capture_file=$work/capture.pcapng
    ip netns exec "$namespace" dumpcap -q -t "${devices[@]}" -w "$capture_file" 2>"$work/capture.log" &
    capture_pid=$!
    wait_for grep -q '^File:' "$work/capture.log"
}

# The file may end in half a record while it is being written, which is no error here.
packets_matching() { tshark -r "$capture_file" -Y "$1" -T fields -e frame.number 2>/dev/null | wc -l; }
has_packets() { (($(packets_matching "$2") >= $1)); }

# wait_packets COUNT DISPLAY_FILTER
wait_packets() { wait_for has_packets "$@"; }

# Two equal counts in a row: the last acknowledgements are in the file too.
settled() {
    local before
    before=$(packets_matching frame)
    sleep 0.2
    [[ $before -gt 0 && $before == "$(packets_matching frame)" ]]
}

stop_capture() {
    wait_for settled
    kill -INT "$capture_pid"
    wait "$capture_pid"
    if [[ $capture_file == *.pcapng ]]; then "$here/strip_host.py" "$capture_file"; fi
}

# Ends every process in the namespaces of this case, then the namespaces.
clean_up() {
    local name pids
    for name in $(ip netns list | awk -v prefix="portlabel-$case_id-" 'index($1, prefix) == 1 { print $1 }'); do
        pids=$(ip netns pids "$name")
        # shellcheck disable=SC2086 # a list of numbers
        [[ -z $pids ]] || kill -KILL $pids 2>/dev/null || true
        ip netns delete "$name"
    done
    rm -rf "$work"
}
