//! Sockets that listen, in a network namespace of their own.

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use portlabel::source::{ListenerSet, Listeners};
use portlabel::units::{AddressWords, IpVersion, Transport};

use crate::privileges::is_root;
use crate::program::ran;

#[test]
fn sockets_that_listen_are_seen() {
    if !is_root("there is no network namespace to listen in") {
        return;
    }
    // not on the loopback, where a whole network is this host's
    let setup = "ip link set lo up && ip link add ours type veth peer name theirs && ip link set theirs up && \
                 ip link set ours up && ip address add 192.0.2.7/24 dev ours && \
                 ip address add 2001:db8::7/64 dev ours nodad && ip route add local 198.51.100.0/24 dev lo && \
                 exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", setup]).arg(std::env::current_exe().expect("this program"));
    let ran = ran(command.args(["--exact", "listeners::in_a_namespace", "--ignored", "--nocapture"]));
    assert!(ran.code == Some(0) && ran.stdout.contains("1 passed"), "{}{}", ran.stdout, ran.stderr);
}

fn listens(set: &ListenerSet, transport: Transport, addr: &str, port: u16) -> bool {
    match addr.parse().expect("an address") {
        IpAddr::V4(addr) => set.listens(transport, IpVersion::V4, AddressWords::v4(addr.octets()), port),
        IpAddr::V6(addr) => set.listens(transport, IpVersion::V6, AddressWords::v6(addr.octets()), port),
    }
}

#[test]
#[ignore = "sockets_that_listen_are_seen runs it in a network namespace"]
fn in_a_namespace() {
    use Transport::{Tcp, Udp};
    let tcp = |addr: &str| TcpListener::bind(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
    let udp = |addr: &str| UdpSocket::bind(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
    let mut listeners = Listeners::open().expect("/proc/net");
    let nobody = listeners.read().expect("tables");
    assert!(nobody.is_empty() && nobody.cut_files() == 0, "{nobody:?}");

    let one = tcp("192.0.2.7:8443");
    let any_tcp = (tcp("0.0.0.0:8080"), tcp("[::]:8081"), tcp("[2001:db8::7]:8082"));
    let any_udp = (udp("0.0.0.0:5353"), udp("[::1]:547"), udp("0.0.0.0:0"));
    let asked_by_client = any_udp.2.local_addr().expect("its address").port();
    let connected = udp("192.0.2.7:5060");
    connected.connect("192.0.2.9:5060").expect("a route");
    let client = TcpStream::connect("192.0.2.7:8443").expect("it listens");
    let client_port = client.local_addr().expect("its address").port();

    let set = listeners.read().expect("tables");
    let cases = [
        ("one address", Tcp, "192.0.2.7", 8443, true),
        ("not the others", Tcp, "127.0.0.1", 8443, false),
        ("all addresses", Tcp, "192.0.2.7", 8080, true),
        ("of the loopback", Tcp, "127.1.2.3", 8080, true),
        ("of networks that are routed here", Tcp, "198.51.100.77", 8080, true),
        ("none of others", Tcp, "192.0.2.9", 8080, false),
        ("nor broadcast", Tcp, "192.0.2.255", 8080, false),
        ("not of IPv6", Tcp, "2001:db8::7", 8080, false),
        ("both versions", Tcp, "192.0.2.7", 8081, true),
        ("both versions, IPv6", Tcp, "2001:db8::7", 8081, true),
        ("an address of IPv6", Tcp, "2001:db8::7", 8082, true),
        ("not that of others", Tcp, "2001:db8::9", 8081, false),
        ("UDP", Udp, "192.0.2.7", 5353, true),
        ("UDP, IPv6", Udp, "::1", 547, true),
        ("not TCP", Tcp, "192.0.2.7", 5353, false),
        ("a socket that asks", Udp, "192.0.2.7", asked_by_client, false),
        ("a connected one", Udp, "192.0.2.7", 5060, false),
        ("a client", Tcp, "192.0.2.7", client_port, false),
    ];
    for (name, transport, addr, port, want) in cases {
        assert_eq!(listens(&set, transport, addr, port), want, "{name}");
    }
    assert_eq!(listeners.read().expect("tables"), set, "nothing has changed");

    drop((one, any_tcp));
    let fewer = listeners.read().expect("tables");
    assert!(!listens(&fewer, Tcp, "192.0.2.7", 8080) && listens(&fewer, Udp, "192.0.2.7", 5353), "{fewer:?}");
}
