#!/usr/bin/env bash
# A live run for a long time: SECONDS_LONG=3600 of traffic at RATE=10000 packets a second, whose addresses change with each
# million packets, so that flows and endpoints come and go. A report, snapshots, metrics, flow records and the page are on; a
# client follows the stream, others come and go. Looks at memory, descriptors, threads and CPU time ten times a minute, prints
# what they were, and fails when they grow, when a packet is missing in any output, or when the kernel dropped one. As root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $(id -u) -ne 0 ]]; then
    echo "SKIPPED: live capture takes root" >&2
    exit 0
fi
tests/setup/install-debian.sh ip:iproute2 tcpreplay curl python3
portlabel=${PORTLABEL:-$PWD/target/release/portlabel}
rate=${RATE:-10000} seconds=${SECONDS_LONG:-3600}
in_file=1000000
packets=$((rate * seconds))
capture=target/bench/live.pcap
# shellcheck source=tests/setup/wire.sh
source tests/setup/wire.sh
live_capture "$capture"

listen=127.0.0.1:9465
ip -n $watched link set lo up
# the run becomes nobody, who writes its outputs
chmod a+rwx "$work"
ip netns exec $watched "$portlabel" -i eth0 -s 512 -B 64M --idle-timeout 30s --interval 2s --listen $listen \
    -o "json=$work/report.json" -o "ndjson=$work/snapshots.ndjson" -o "prometheus=$work/metrics.prom" -o flows \
    2>"$work/stderr" > >(python3 -c '
import json, sys
packets = flows = 0
for line in sys.stdin:
    record = json.loads(line)
    packets += record["to_server"]["packets"] + record["from_server"]["packets"]
    flows += 1
print(flows, packets)
' >"$work/flows") &
run=$!
until grep -qsx capture /proc/$run/task/*/comm; do
    kill -0 $run 2>/dev/null || { cat "$work/stderr" >&2 && exit 1; }
    sleep 0.01
done
get() { ip netns exec $watched curl --silent --fail --max-time 20 "http://$listen$1"; }
ip netns exec $watched curl --silent --no-buffer "http://$listen/api/v1/stream" >/dev/null &

# pps-multi: some packets each time that it wakes up, so that it leaves the processor to others in between
ip netns exec $sender tcpreplay --quiet --pps="$rate" --pps-multi=20 --preload-pcap --unique-ip \
    --loop=$(((packets + in_file - 1) / in_file)) --limit="$packets" -i eth0 "$capture" >"$work/sent" 2>&1 &
send=$!

looks=$work/looks
while kill -0 $send 2>/dev/null; do
    # where it takes its time, what is done in it does too
    sleep 6
    resident_kib=$(awk '/^VmRSS:/ { print $2 }' /proc/$run/status)
    threads=$(awk '/^Threads:/ { print $2 }' /proc/$run/status)
    descriptors=$(find /proc/$run/fd -mindepth 1 | wc -l)
    # nothing is served before the first interval has ended
    counted=$(get /metrics | awk '/^portlabel_read_packets_total / { count = $2 } END { print count + 0 }')
    echo "$resident_kib $descriptors $threads $(ticks $run) $counted" >>"$looks"
    get / >/dev/null
done
wait $send
sent=$(sed -n 's/^Actual: \([0-9]*\) packets.*/\1/p' "$work/sent")
# what was sent is in the kernel's buffer at the latest, and the end of a run counts what is there
kill -INT $run
wait $run
until [[ -s $work/flows ]]; do sleep 0.1; done

python3 - "$looks" "$work" "$sent" "$(getconf CLK_TCK)" <<'E2'
import json, re, statistics, sys
looks, work, sent, hertz = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rows = [[float(word) for word in line.split()] for line in open(looks)]
assert len(rows) >= 12, "too short to tell"
report = json.load(open(f"{work}/report.json"))
for line in open(f"{work}/snapshots.ndjson"):
    last_line = line
last_line = json.loads(last_line)
metrics = open(f"{work}/metrics.prom").read()
flows, of_flows = (int(word) for word in open(f"{work}/flows").read().split())
stderr = open(f"{work}/stderr").read()
portless = sum(row["packets"] for row in report["portless"])
read = int(re.search(r"^portlabel_read_packets_total (\d+)", metrics, re.M)[1])

print("| minutes | resident MiB | descriptors | threads | CPU µs a packet |")
print("|---|---|---|---|---|")
parts = 6
cost = []
for part in range(parts):
    piece = rows[len(rows) * part // parts:len(rows) * (part + 1) // parts]
    resident, descriptors, threads = (statistics.median(column) for column in list(zip(*piece))[:3])
    spent = (piece[-1][3] - piece[0][3]) / hertz * 1e6 / max(piece[-1][4] - piece[0][4], 1)
    cost.append((resident, descriptors, threads, spent))
    print(f"| {len(rows) * (part + 1) // parts * 6 / 60:.0f} | {resident / 1024:.1f} | {descriptors:.0f} | {threads:.0f} | {spent:.2f} |")
print(f"sent {sent}; report {report['packets']}, last line {last_line['packets']}, metrics {read};",
      f"flow records {flows} with {of_flows} packets, and {portless} without ports; report {report['flows']}")
print(stderr, end="")
faults = []
for name, number in [("report", report["packets"]), ("last line", last_line["packets"]), ("metrics", read), ("flow records", of_flows + portless)]:
    if number != sent:
        faults.append(f"{name}: {number} packets of {sent}")
if report["drops"]["kernel"] != 0:
    faults.append(f"{report['drops']} were dropped")
if flows != report["flows"]["started"] or report["flows"]["started"] != report["flows"]["ended"]:
    faults.append("flow records are missing")
# the first part is that in which everything grows to its size
settled, end = cost[1], cost[-1]
for name, at, allowed in [("memory", 0, 1.05), ("descriptors", 1, 1.0), ("threads", 2, 1.0), ("CPU time", 3, 1.5)]:
    if end[at] > settled[at] * allowed:
        faults.append(f"{name} grew from {settled[at]:.2f} to {end[at]:.2f}")
sys.exit("\n".join(faults) or None)
E2
