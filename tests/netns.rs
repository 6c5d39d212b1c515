//! Network namespaces: two hosts with a wire between them, made by a test for itself alone.
//!
//! ```text
//! client  eth0  10.0.0.1  2001:db8:0::1  <------->  eth0  10.0.0.2  2001:db8:0::2  server
//! ```
//!
//! Nothing here reaches the host's own network: the namespaces have no way out. As far as the kernel lets itself be told,
//! nothing passes the wire but what the test sends: hosts know each other's Ethernet addresses, have no link-local
//! addresses, and look for no routers. What is left are IPv6 multicast listener reports (ICMP), in the first seconds.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cases::skipped;
use crate::program::ran;
use crate::running::{Running, until};

/// Where iproute2 keeps the namespaces that have a name.
const NAMESPACES: &str = "/run/netns";
/// How the names of our namespaces begin; behind it stand the test process, a number, and the host.
const PREFIX: &str = "portlabel";

/// A network namespace, which goes with what is in it.
#[derive(Debug)]
pub struct Host {
    namespace: String,
    /// The last number of its addresses.
    number: u8,
}

/// Two hosts, joined by `eth0`.
pub struct Wire {
    pub client: Host,
    pub server: Host,
    /// Programs that are an end of a VLAN.
    vlan_ends: Vec<Running>,
}

/// The IPv4 address of a host on a link.
pub fn v4(link: u8, host: &Host) -> IpAddr {
    Ipv4Addr::new(10, 0, link, host.number).into()
}

/// The IPv6 address of a host on a link (RFC 3849 sets the block apart).
pub fn v6(link: u8, host: &Host) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, link.into(), 0, 0, 0, 0, host.number.into()).into()
}

impl Wire {
    /// A new wire, or a word that there cannot be one.
    pub fn new() -> Option<Self> {
        if !geteuid().is_root() {
            skipped("network namespaces take root: no live capture is tested");
            return None;
        }
        let (client, server) = match (Host::new("client", 1), Host::new("server", 2)) {
            (Ok(client), Ok(server)) => (client, server),
            (Err(why), _) | (_, Err(why)) => {
                skipped(&format!("no network namespaces, so no live capture is tested: {why}"));
                return None;
            }
        };
        let wire = Self { client, server, vlan_ends: Vec::new() };
        wire.join("eth0", 0);
        Some(wire)
    }

    /// Joins the hosts by one more pair of interfaces.
    pub fn join(&self, name: &str, link: u8) {
        let Self { client, server, .. } = self;
        let pair = ["type", "veth", "peer", "name", name, "address", &server.ethernet(link)];
        let add = ["link", "add", name, "address", &client.ethernet(link)];
        client.ip(&[&add[..], &pair, &["netns", &server.namespace]].concat());
        self.set_up(name, link);
        // until the kernel has noticed the other end, it drops what is sent
        for host in [client, server] {
            host.await_state(name, "state UP");
        }
    }

    /// Joins the hosts by a VLAN of `eth0`.
    pub fn join_vlan(&mut self, name: &str, id: u8) {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/vlan.py");
        for host in [&self.client, &self.server] {
            let mut end = Running::start(host.command("python3").args([program, "eth0", name, &id.to_string()]));
            let exists = || host.inside(|| if_exists(name)).then_some(());
            end.await_state("makes an interface", |_| exists());
            self.vlan_ends.push(end);
        }
        self.set_up(name, id);
    }

    /// Gives both ends of a link their addresses, and takes them up.
    fn set_up(&self, name: &str, link: u8) {
        let Self { client, server, .. } = self;
        for (host, other) in [(client, server), (server, client)] {
            host.ip(&["addr", "add", &format!("{}/24", v4(link, host)), "dev", name]);
            host.ip(&["addr", "add", &format!("{}/64", v6(link, host)), "dev", name, "nodad"]);
            host.ip(&["link", "set", name, "up"]);
            let path = format!("/sys/class/net/{name}/address");
            let ethernet = ran(other.command("cat").arg(path)).stdout;
            for address in [v4(link, other), v6(link, other)] {
                let neighbour = ["neigh", "replace", &address.to_string(), "lladdr", ethernet.trim(), "dev", name];
                host.ip(&[&neighbour[..], &["nud", "permanent"]].concat());
            }
        }
    }
}

impl Host {
    fn new(name: &str, number: u8) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        remove_what_was_left();
        let of_test = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{PREFIX}-{}-{of_test}-{name}", std::process::id());
        let added =
            Command::new("ip").args(["netns", "add", &namespace]).output().map_err(|error| error.to_string())?;
        if !added.status.success() {
            return Err(String::from_utf8_lossy(&added.stderr).trim().to_owned());
        }
        let host = Self { namespace, number };
        host.inside(|| {
            for (setting, value) in [("accept_dad", "0"), ("router_solicitations", "0"), ("addr_gen_mode", "1")] {
                let path = Path::new("/proc/sys/net/ipv6/conf/default").join(setting);
                fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        });
        host.ip(&["link", "set", "lo", "up"]);
        Ok(host)
    }

    /// The Ethernet address on a link: a locally administered one, of no host in `fixtures/`.
    pub fn ethernet(&self, link: u8) -> String {
        format!("06:00:00:00:{link:02x}:{:02x}", self.number)
    }

    /// A program that is to run on this host. It ends with the thread that starts it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, "setpriv", "--pdeathsig", "KILL"]).arg(program);
        command.env_remove("NO_COLOR").env_remove("COLUMNS").env("LC_ALL", "C").stdin(std::process::Stdio::null());
        command
    }

    /// Changes something about the host's network, and tells what iproute2 says.
    pub fn ip(&self, args: &[&str]) -> String {
        let ran = ran(Command::new("ip").args(["-n", &self.namespace]).args(args));
        assert_eq!(ran.code, Some(0), "ip {args:?}: {}", ran.stderr);
        ran.stdout
    }

    /// Waits until iproute2 shows something of an interface.
    pub fn await_state(&self, interface: &str, shown: &str) {
        let what = format!("{interface} is {shown}");
        until(&what, || self.ip(&["-d", "-o", "link", "show", interface]).contains(shown).then_some(()));
    }

    /// Does something on a thread that belongs to this host. Sockets that it opens stay the host's.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let path = Path::new(NAMESPACES).join(&self.namespace);
        let namespace = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let moved_in = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root can");
            act()
        };
        thread::scope(|scope| scope.spawn(moved_in).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Waits until somebody on this host takes what comes to a port.
    pub fn await_port(&self, transport: &str, port: u16) {
        until(&format!("{port}/{transport} answers"), || self.sockets(transport).contains(&(port, true)).then_some(()));
    }

    /// Waits until every TCP connection of this host is closed on its part.
    pub fn await_closed(&self) {
        let open = || self.sockets("tcp").into_iter().any(|(_, is_passive)| !is_passive);
        until(&"every connection is closed", || (!open()).then_some(()));
    }

    /// The local ports of the sockets of a transport, and whether each has no connection: it listens, or its connection
    /// is closed (TIME_WAIT).
    fn sockets(&self, transport: &str) -> Vec<(u16, bool)> {
        let tables = [format!("/proc/thread-self/net/{transport}"), format!("/proc/thread-self/net/{transport}6")];
        let text = self.inside(|| tables.map(|path| fs::read_to_string(path).expect("the kernel tells")).concat());
        let socket = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let port = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
            // TCP_TIME_WAIT, TCP_CLOSE (of UDP: not connected) and TCP_LISTEN of the kernel's tcp_states.h
            Some((port, ["06", "07", "0A"].contains(fields.get(3)?)))
        };
        text.lines().filter_map(socket).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let removed = Command::new("ip").args(["netns", "del", &self.namespace]).status();
        let is_removed = removed.is_ok_and(|status| status.success());
        assert!(is_removed || thread::panicking(), "{}: cannot be removed", self.namespace);
    }
}

/// There is an interface of that name, on the host whose thread this is.
fn if_exists(name: &str) -> bool {
    let table = fs::read_to_string("/proc/thread-self/net/dev").expect("the kernel tells");
    table.lines().any(|line| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
}

/// Removes the namespaces of test processes that were killed.
fn remove_what_was_left() {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().filter_map(Result::ok);
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1)?.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            // two tests may have found the same
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}
