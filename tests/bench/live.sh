#!/usr/bin/env bash
# Live capture beside tcpdump: what a packet takes of CPU time, and what is dropped, with the same snap length and buffer. Each
# watches an interface of its own while tcpreplay sends the generator's traffic (`traffic.rs`) there as fast as it can, in turn;
# then both watch one interface at the same time. Prints medians. As root; RUNS=5 of each, PACKETS=10000000 are sent each time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ $(id -u) -ne 0 ]]; then
    echo "SKIPPED: live capture takes root" >&2
    exit 0
fi
tests/setup/install-debian.sh ip:iproute2 tcpdump tcpreplay
portlabel=$PWD/target/release/portlabel

# One file of a million packets, sent again and again from memory.
in_file=1000000
loops=$((${PACKETS:-10000000} / in_file))
capture=target/bench/live.pcap
# shellcheck source=tests/setup/wire.sh
source tests/setup/wire.sh
live_capture "$capture"

# start PROGRAM: runs it where the packets arrive, until it captures; its process is $last, and what it has used by then, which
# is mostly for its buffer, is $used
start() {
    local command
    case $1 in
    tcpdump) command=(tcpdump -w /dev/null -s 512 -B 65536) ;;
    portlabel) command=("$portlabel" -o json -s 512 -B 64M) ;;
    portlabel-2) command=("$portlabel" -o json -s 512 -B 64M --fanout 2) ;;
    esac
    ip netns exec $watched "${command[@]}" -i eth0 >"$work/$1.out" 2>"$work/$1.err" &
    last=$!
    until grep -qs 'listening on' "$work/$1.err" || grep -qsx capture /proc/$last/task/*/comm; do sleep 0.01; done
    used=$(ticks $last)
}

# A number of those that both programs print at their end.
counter() { sed -n "s/^\([0-9]*\) packets* $2\$/\1/p" "$work/$1.err"; }

# measure HOW PROGRAM...: sends everything to those that are named, and notes for each the packets sent a second, received,
# captured and dropped, and its CPU time since it captures.
measure() {
    local how=$1 program rate before now
    shift
    local -A process=() at_start=()
    for program; do
        start "$program"
        process[$program]=$last at_start[$program]=$used
    done
    ip netns exec $sender tcpreplay --quiet --topspeed --preload-pcap --loop "$loops" -i eth0 "$capture" >"$work/sent" 2>&1
    rate=$(awk '/^Rated:/ { print $(NF - 1) }' "$work/sent")
    for program; do
        # tcpdump leaves what its ring holds when it is interrupted, so it gets the time to read it: the kernel hands over a
        # block that is not full after a second
        before=
        while now=$(ticks "${process[$program]}") && [[ $now != "$before" ]]; do
            before=$now
            sleep 1.5
        done
        kill -INT "${process[$program]}"
        wait "${process[$program]}"
        echo "$rate $(counter "$program" 'received by filter') $(counter "$program" captured)" \
            "$(counter "$program" 'dropped by kernel') $((now - at_start[$program]))" >>"$work/$how.$program.runs"
    done
}

# The median of a column of what was noted.
median() { cut -d ' ' -f "$1" "$2" | sort -n | awk '{ of[NR] = $1 } END { print of[int((NR + 1) / 2)] }'; }

# row HOW PROGRAM: what it took, beside tcpdump.
row() {
    local runs=$work/$1.$2.runs
    awk -v how="$1" -v program="$2" -v rate="$(median 1 "$runs")" -v received="$(median 2 "$runs")" \
        -v captured="$(median 3 "$runs")" -v dropped="$(median 4 "$runs")" -v used="$(median 5 "$runs")" \
        -v base="$(median 5 "$work/$1.tcpdump.runs")" -v hertz="$(getconf CLK_TCK)" 'BEGIN {
            printf "| %s | %s | %d | %d | %d | %d | %.2f s | %.0f | %.2f |\n", how, program, rate, received, captured, dropped,
                used / hertz, used / hertz * 1e9 / captured, used / base
        }'
}

for ((run = 1; run <= ${RUNS:-5}; run++)); do
    for program in tcpdump portlabel portlabel-2; do measure alone "$program"; done
    measure together tcpdump portlabel
done
echo '| watched | program | packets/s | received | captured | dropped | CPU | ns a packet | CPU × |'
echo '|---|---|---|---|---|---|---|---|---|'
for program in tcpdump portlabel portlabel-2; do row alone "$program"; done
for program in tcpdump portlabel; do row together "$program"; done
