# shellcheck shell=bash
# A wire for scripts that send and watch, to be sourced: a namespace $sender and a namespace $watched, each with an end called
# eth0. Nothing passes it but what is sent. They go when the script ends, with its programs and its folder $work.
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

# CPU time of a process so far, user and system, in the kernel's ticks.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# live_capture FILE: makes the capture of a million packets that is sent again and again, unless it is there.
live_capture() {
    if [[ ! -e $1 || tests/bench/traffic.rs -nt $1 ]]; then
        mkdir -p "${1%/*}"
        cargo bench --quiet --locked --bench ratio -- --make live >"$1.part"
        mv "$1.part" "$1"
    fi
}
