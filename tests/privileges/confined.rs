//! Gives up its rights as portlabel does, and prints what it can still do: a line each, `name: ok` or `name: ` and the
//! error; before that, what was applied and what the kernel says of it. Run by tests/privileges.rs, as root and in a network namespace of its own.
//!
//! confined USER FOLDER: FOLDER is where the outputs of the run would be.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, setgid, setuid};
use pcap::{Active, Capture};
use portlabel::privileges::Plan;
use portlabel::source::Listeners;
use rustix::mount::{MountFlags, mount};
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use rustix::process::{getppid, setpriority_process, test_kill_process};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [user, folder] = &args[..] else { panic!("confined USER FOLDER") };
    let folder = Path::new(folder);
    let output = folder.join("out.json");
    let mut open = File::create(&output).expect("root may");
    let mut status = File::open("/proc/self/status").expect("/proc");
    let mut listeners = Listeners::open().expect("/proc");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let tcp_addr = tcp.local_addr().expect("its address");
    let client = TcpStream::connect(tcp_addr).expect("it listens");
    let unix_path = folder.join("socket");
    let unix = UnixListener::bind(&unix_path).expect("a socket");
    let capture = Capture::from_device("lo").expect("a name").immediate_mode(true).open().expect("root may");
    let mut capture = capture.setnonblock().expect("it is live");
    let mut plan =
        Plan::new(user, [output.as_path(), Path::new("/dev/null"), Path::new("-")]).expect("the user is there");
    // nothing but the plan keeps it from being written
    let input = std::env::temp_dir().join("input");
    fs::write(&input, "x").and_then(|()| fs::set_permissions(&input, Permissions::from_mode(0o666))).expect("room");
    // libpcap reads drops of the interface from there, each time that it is asked
    plan.keep_reading([input.as_path(), Path::new("/sys/class/net/lo/statistics")]);

    let applied = plan.apply().expect("rights can be given up");
    println!("applied: {applied}");
    let mut state = String::new();
    status.read_to_string(&mut state).expect("it is open");
    let told = |line: &&str| {
        ["Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp:"].iter().any(|name| line.starts_with(name))
    };
    let told: Vec<_> = state.lines().filter(told).map(|line| line.replace('\t', " ")).collect();
    println!("state: {}", told.join(", "));

    // what a run does
    show("go on writing", open.write_all(b"{}\n"));
    show("create beside it", File::create(folder.join("new")));
    show(
        "add to it",
        OpenOptions::new().append(true).open(folder.join("new")).and_then(|mut file| file.write_all(b"x")),
    );
    show("replace by it", fs::rename(folder.join("new"), folder.join("newer")));
    show("read it", fs::read(folder.join("newer")));
    show("remove it", fs::remove_file(folder.join("newer")));
    show("write to a device", File::create("/dev/null"));
    show("read an input", File::open(&input));
    show("see who listens", listeners.read().map_err(io::Error::other));
    show(
        "start a thread",
        thread::Builder::new().name("a name".into()).spawn(|| {}).map(|thread| thread.join().is_ok()),
    );
    show("take memory", Ok(vec![1_u8; 8 << 20].len()));
    show("accept", tcp.accept());
    show("write to a connection", (&client).write_all(b"x"));
    show("not wait for more to write", client.set_nodelay(true));
    show("capture it", captured(&mut capture));
    show("ask for drops", capture.stats().map_err(io::Error::other));
    show("read drops", fs::read("/sys/class/net/lo/statistics/rx_missed_errors"));
    drop(capture);
    show("make way for others", setpriority_process(None, 19).map_err(Into::into));

    // what it does not
    show("go before others", setpriority_process(None, 0).map_err(Into::into));
    show("slow another down", setpriority_process(getppid(), 19).map_err(Into::into));
    show("read users", File::open("/etc/passwd"));
    show("list /", fs::read_dir("/"));
    show("write elsewhere", File::create(std::env::temp_dir().join("elsewhere")));
    show("write over an input", OpenOptions::new().write(true).open(&input));
    show("make a folder", fs::create_dir(folder.join("folder")));
    show("make a link", symlink("/etc/passwd", folder.join("link")));
    show("packet socket", socket(AddressFamily::PACKET, SocketType::RAW, None).map_err(Into::into));
    show("raw socket", socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).map_err(Into::into));
    show("netlink socket", socket(AddressFamily::NETLINK, SocketType::RAW, None).map_err(Into::into));
    show("connect", TcpStream::connect(tcp_addr));
    show("send", UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", tcp_addr)));
    show("connect by name", UnixStream::connect(&unix_path));
    show("set another option", set_socket_reuseaddr(&tcp, true).map_err(Into::into));
    show("listen", TcpListener::bind("127.0.0.1:0"));
    show("start a program", Command::new("/bin/true").spawn());
    show("become a program", Err::<(), _>(Command::new("/bin/true").exec()));
    show("become root", setuid(Uid::from_raw(0)).map_err(Into::into));
    show("become root's group", setgid(Gid::from_raw(0)).map_err(Into::into));
    let rights = CapabilitySet::NET_RAW;
    let sets = CapabilitySets { effective: rights, permitted: rights, inheritable: CapabilitySet::empty() };
    show("take a capability", set_capabilities(None, sets).map_err(Into::into));
    show("undo no_new_privs", set_no_new_privs(false).map_err(Into::into));
    show("mount", mount("none", folder, "tmpfs", MountFlags::empty(), None).map_err(Into::into));
    show("signal another", test_kill_process(getppid().expect("the test")).map_err(Into::into));
    drop(unix);
}

/// A packet, or an error when none comes for long.
fn captured(capture: &mut Capture<Active>) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match capture.next_packet() {
            Ok(_) => return Ok(()),
            Err(pcap::Error::TimeoutExpired) if Instant::now() < deadline => {
                thread::park_timeout(Duration::from_millis(1));
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn show<T>(name: &str, outcome: io::Result<T>) {
    match outcome {
        Ok(_) => println!("{name}: ok"),
        Err(error) => println!("{name}: {error}"),
    }
}
