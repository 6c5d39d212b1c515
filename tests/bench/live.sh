#!/usr/bin/env bash
# Live capture under load: portlabel and tcpdump on one interface, at the same time and each alone, while tcpreplay sends
# what `gen.c` of PORTLABEL_BENCH makes as fast as it can. Prints for each what the kernel gave it, what it took, what was
# dropped, and its CPU time. As root; PACKETS=10000000 are sent each time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ -z ${PORTLABEL_BENCH-} || $(id -u) -ne 0 ]]; then
    echo "SKIPPED: this takes root, and PORTLABEL_BENCH has to name a folder with gen.c" >&2
    exit 0
fi
tests/setup/install-debian.sh ip:iproute2 tcpdump tcpreplay
portlabel=$PWD/target/release/portlabel

# One file of a million packets, sent again and again from memory.
in_file=1000000
loops=$((${PACKETS:-10000000} / in_file))
made=target/bench
mkdir -p "$made"
cc -O2 -o "$made/gen" "$PORTLABEL_BENCH/gen.c" -lm
if [[ ! -e $made/live.pcap ]]; then "$made/gen" $in_file 20000 96 1 "$made/live.pcap"; fi

sender=portlabel-$$-sender watched=portlabel-$$-watched
work=$(mktemp -d)
clean_up() {
    # shellcheck disable=SC2046 # a list of processes
    kill -KILL $(jobs -p) 2>/dev/null || true
    ip netns del $sender 2>/dev/null || true
    ip netns del $watched 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
for namespace in $sender $watched; do
    ip netns add "$namespace"
    ip netns exec "$namespace" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
ip -n $sender link add eth0 type veth peer name eth0 netns $watched
ip -n $sender link set eth0 up
ip -n $watched link set eth0 up
until ip -n $sender link show eth0 | grep -q 'state UP'; do sleep 0.01; done

# start NAME COMMAND...: runs it where the packets arrive, until it captures; its process is $last
start() {
    local name=$1
    shift
    ip netns exec $watched "$@" >"$work/$name.out" 2>"$work/$name.err" &
    last=$!
    until grep -qs 'listening on' "$work/$name.err" || grep -qsx capture /proc/$last/task/*/comm; do sleep 0.01; done
}

# CPU time of a process so far: user and system, in the kernel's ticks.
ticks() { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 12,13; }

# measure TITLE NAME...: sends everything to those that are named, and prints a row for each.
measure() {
    local title=$1 name sent before now
    shift
    local -A process=()
    for name; do
        case $name in
        tcpdump) start "$name" tcpdump -i eth0 -w /dev/null -s 512 -B 65536 ;;
        portlabel) start "$name" "$portlabel" -i eth0 -s 512 -B 64M -o json ;;
        portlabel-2) start "$name" "$portlabel" -i eth0 -s 512 -B 64M -o json --fanout 2 ;;
        esac
        process[$name]=$last
    done
    ip netns exec $sender tcpreplay --quiet --topspeed --preload-pcap --loop "$loops" -i eth0 "$made/live.pcap" >"$work/sent" 2>&1
    sent=$(awk '/^Rated:/ { print $(NF - 1) }' "$work/sent")
    for name; do
        # tcpdump leaves what its ring holds when it is interrupted, so it gets the time to read it: the kernel hands over a
        # block that is not full after a second
        before=
        while now=$(ticks "${process[$name]}") && [[ $now != "$before" ]]; do
            before=$now
            sleep 1.5
        done
        kill -INT "${process[$name]}"
        wait "${process[$name]}"
        printf '%-20s %-12s %12s %12s %10s %10s %7s %7s\n' "$title" "$name" "$sent" \
            "$(counter "$name" 'received by filter')" "$(counter "$name" captured)" "$(counter "$name" 'dropped by kernel')" \
            "$(awk -v ticks="$(getconf CLK_TCK)" '{ printf "%.2f", $1 / ticks }' <<<"$now")" \
            "$(awk -v ticks="$(getconf CLK_TCK)" '{ printf "%.2f", $2 / ticks }' <<<"$now")"
    done
}

# A number of those that both programs print at their end.
counter() { sed -n "s/^\([0-9]*\) packets* $2\$/\1/p" "$work/$1.err"; }

printf '%-20s %-12s %12s %12s %10s %10s %7s %7s\n' '' '' 'packets/s' received captured dropped 'user s' 'system s'
measure together tcpdump portlabel
measure 'tcpdump alone' tcpdump
measure 'portlabel alone' portlabel
measure 'two threads alone' portlabel-2
