# shellcheck shell=bash
# Two switches between client and server, for the cases with VLAN tags. Sourced by record.sh.

# make_switched_pair VLAN [OUTER_VLAN]: the link leads through two switches, joined by a trunk on which frames are tagged:
#   client eth0 - port1 left trunk1 ==== trunk2 right port2 - eth0 server
# Open vSwitch in user space, because not every kernel has VLAN devices.
make_switched_pair() {
    local inner=$1 outer=${2-} tag untag side
    make_pair v4only
    switch=$(new_namespace switch)
    in_switch() { ip netns exec "$switch" env OVS_RUNDIR="$work" OVS_LOGDIR="$work" OVS_DBDIR="$work" "$@"; }
    ip -n "$client" link delete eth0
    ip -n "$client" link add eth0 address 02:00:00:00:00:01 type veth peer name port1 netns "$switch"
    ip -n "$server" link add eth0 address 02:00:00:00:00:02 type veth peer name port2 netns "$switch"
    # Room for a full frame and two tags.
    ip -n "$switch" link add trunk1 mtu 1508 type veth peer name trunk2 mtu 1508
    in_switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    in_client sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
    in_server sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
    ip -n "$client" addr add $client_addr/24 dev eth0
    ip -n "$server" addr add $server_addr/24 dev eth0
    for side in "$client eth0" "$server eth0" "$switch port1" "$switch port2" "$switch trunk1" "$switch trunk2"; do
        # shellcheck disable=SC2086 # namespace and device
        offloads_off $side
        ip -n "${side% *}" link set "${side#* }" up
    done

    ovsdb-tool create "$work/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    background ovsdb in_switch ovsdb-server "$work/conf.db" --remote="punix:$work/db.sock"
    wait_for test -S "$work/db.sock"
    in_switch ovs-vsctl --no-wait --db="unix:$work/db.sock" init
    background vswitchd in_switch ovs-vswitchd "unix:$work/db.sock"
    # vlan-limit=0: look as deep into the tags as there are any.
    in_switch ovs-vsctl --timeout=10 --db="unix:$work/db.sock" set Open_vSwitch . other_config:vlan-limit=0
    # OpenFlow wants the "tag present" bit, 4096, set with the number. Two tags come off in two tables.
    tag="push_vlan:0x8100,set_field:$((4096 + inner))->vlan_vid"
    untag="table=1,in_port=2,dl_vlan=$inner,actions=pop_vlan,output:1"
    if [[ -n $outer ]]; then
        tag+=",push_vlan:0x88a8,set_field:$((4096 + outer))->vlan_vid"
        untag+=$'\n'"table=0,in_port=2,dl_vlan=$outer,actions=pop_vlan,resubmit(,1)"
    else
        untag+=$'\n'"table=0,in_port=2,actions=resubmit(,1)"
    fi
    for side in "left port1 trunk1" "right port2 trunk2"; do
        # shellcheck disable=SC2086 # bridge and its two ports
        set -- $side
        in_switch ovs-vsctl --timeout=10 --db="unix:$work/db.sock" \
            add-br "$1" -- set bridge "$1" datapath_type=netdev fail-mode=secure protocols=OpenFlow13 \
            -- add-port "$1" "$2" -- set interface "$2" ofport_request=1 \
            -- add-port "$1" "$3" -- set interface "$3" ofport_request=2
        printf '%s\n' "in_port=1,actions=$tag,output:2" "$untag" |
            in_switch ovs-ofctl -O OpenFlow13 add-flows "$work/$1.mgmt" -
    done
}
