#!/usr/bin/env bash
# totals.sh FOLDER: writes what tshark counts in the folder's capture to the end of its README.md.
set -euo pipefail

cd "$1"
capture=$(ls capture.pcap*)
export LC_ALL=C TZ=UTC

# show COMMAND: the command and what it prints, as one block of Markdown.
show() {
    printf '\n```\n$ %s\n' "$1"
    bash -c "$1" 2>/dev/null | sed -e 's/[[:space:]]*$//' | cat -s
    printf '```\n'
}

# Packets inside ICMP errors are quotations, which tshark's conversations leave out, too.
conversations() { # TRANSPORT
    tshark -r "$capture" -Y "$1 && !icmp && !icmpv6" -T fields -e "$1.stream" 2>/dev/null | tr , '\n' | sort -u | wc -l
}

readme=$(sed '/^## Totals/,$d' README.md)
tcp=$(conversations tcp) udp=$(conversations udp)
{
    printf '%s\n\n## Totals\n' "$readme"
    tshark -r "$capture" -T fields -e frame.len 2>/dev/null |
        awk '{ bytes += $1 } END { printf "\nPackets: %d. Wire bytes (the sum of `frame.len`): %d.\n", NR, bytes }'
    printf 'TCP conversations: %d. UDP conversations: %d.\n' "$tcp" "$udp"
    show "capinfos -M -t -E -c -d $capture"
    show "tshark -r $capture -q -z io,phs"
    # A scan's hundreds of conversations are counted above and not listed.
    for transport in tcp udp; do
        if ((${!transport} > 0 && ${!transport} <= 20)); then
            show "tshark -r $capture -q -z conv,$transport"
            # Above 10 kB the table rounds; this does not. Stream, packets, wire bytes. A tunnelled packet is in two streams.
            show "tshark -r $capture -Y '$transport && !icmp && !icmpv6' -T fields -e $transport.stream -e frame.len |
    awk '{ k = split(\$1, s, \",\"); for (i = 1; i <= k; i++) { n[s[i]]++; bytes[s[i]] += \$2 } }
        END { for (i in n) print i, n[i], bytes[i] }' | sort -n"
        fi
    done
} >README.new
mv README.new README.md
