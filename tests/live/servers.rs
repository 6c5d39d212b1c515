//! Programs that people run, and tcpdump on the same wire.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Datagrams, Folder, count, counters, report, report_of_file, service, services, watch};
use crate::netns::{Host, Wire, v4, v6};
use crate::program::{PATIENCE, has, ran, run_with_input};
use crate::running::{Running, until};

const TOOLS: [&str; 10] =
    ["python3", "tcpdump", "openssl", "nginx", "curl", "sshd", "ssh", "dnsmasq", "dig", "chronyd"];
/// The last packet of a recording.
const END_MARK: &[u8] = b"here the recording ends";

/// What a client does, once.
struct Visit {
    service: &'static str,
    transport: &'static str,
    /// How often, by each way to the server.
    times: u64,
    go: fn(&Host, &Folder, IpAddr),
}

const VISITS: [Visit; 6] = [
    Visit { service: "http", transport: "tcp", times: 3, go: |host, _, server| fetch(host, "http", server) },
    Visit { service: "https", transport: "tcp", times: 2, go: |host, _, server| fetch(host, "https", server) },
    Visit { service: "ssh", transport: "tcp", times: 1, go: log_in },
    Visit { service: "domain", transport: "udp", times: 2, go: |host, _, server| ask_name(host, server, "+notcp") },
    Visit { service: "domain", transport: "tcp", times: 1, go: |host, _, server| ask_name(host, server, "+tcp") },
    Visit { service: "ntp", transport: "udp", times: 2, go: |host, _, server| ask_time(host, server) },
];

#[test]
fn real_traffic_is_what_the_clients_did_and_what_tcpdump_saw() {
    if !TOOLS.iter().all(|tool| has(tool, "no real servers are watched")) {
        return;
    }
    let Some(mut wire) = Wire::new() else { return };
    wire.join_vlan("eth0.42", 42);
    let folder = Folder::new();
    let _servers = servers(&wire.server, &folder);

    let live = watch(&wire.client, &["-i", "eth0", "-o", "json", "--no-listeners", "--histograms"]);
    let recording = folder.path("tcpdump.pcap");
    let tcpdump = record(&wire.client, &recording);
    let ways: [fn(&Host) -> IpAddr; 4] =
        [|host| v4(0, host), |host| v6(0, host), |host| v4(42, host), |host| v6(42, host)];
    for way in ways {
        let server = way(&wire.server);
        for visit in &VISITS {
            (0..visit.times).for_each(|_| (visit.go)(&wire.client, &folder, server));
        }
    }
    wire.client.await_closed();
    wire.server.await_closed();
    Datagrams::new(&wire, 0).send(1, END_MARK);
    await_end_mark(&recording);

    let live = live.interrupt();
    let tcpdump = tcpdump.interrupt();
    assert_eq!((tcpdump.code, counters(&tcpdump.stderr)[2]), (Some(0), 0), "it missed nothing: {tcpdump:?}");
    let (live, recorded) = (report(&live), report_of_file(&recording));
    let mut want_flows = 1; // the mark
    for Visit { service: name, transport, times, .. } in &VISITS {
        let row = service(&live, name, transport);
        let flows = times * ways.len() as u64;
        assert_eq!(count(row, "/flows/started"), flows, "{name}/{transport}");
        assert_eq!(count(row, "/flows/unanswered"), 0, "{name}/{transport}");
        if *transport == "tcp" {
            let evidence =
                json!({ "handshake": { "flows": flows, "packets": row["packets"], "wire_bytes": row["wire_bytes"] } });
            assert_eq!(row["evidence"], evidence, "{name}/{transport}");
            assert_eq!(row.pointer("/handshake_rtt_us/count"), Some(&Value::from(flows)), "{name}/{transport}");
        }
        want_flows += flows;
    }
    assert_eq!(count(&live, "/flows/started"), want_flows, "{live:#}");
    // Not the totals: one of the two begins first, and multicast listener reports may pass between.
    assert_eq!(timeless(&live), timeless(&recorded));
    // and what is captured live is a report that can be added up
    let merged = run_with_input(&["merge", "-"], live.to_string().as_bytes(), 4096);
    assert_eq!((merged.code, merged.stderr.as_str()), (Some(0), ""));
    for key in ["source", "settings", "packets", "wire_bytes", "drops", "flows", "portless"] {
        assert_eq!(merged.json()[key], live[key], "{key}");
    }
}

/// The rows of services, with the number of times that were taken in place of the times: the kernel asks the clock for
/// each socket anew, so that no two of them get quite the same time of a packet.
fn timeless(report: &Value) -> Vec<Value> {
    let mut rows = services(report);
    for row in &mut rows {
        for summary in ["gap_us", "flow_duration_us", "handshake_rtt_us"] {
            row[summary] = row[summary]["count"].take();
        }
        // the live report alone has histograms
        row["packet_size_bytes"].as_object_mut().map(|sizes| sizes.remove("hdr"));
    }
    rows
}

/// Starts every server, and waits until it answers.
fn servers(host: &Host, folder: &Folder) -> Vec<Running> {
    let running = [nginx(host, folder), sshd(host, folder), dnsmasq(host), chronyd(host, folder)];
    for port in [80, 443, 22, 53] {
        host.await_port("tcp", port);
    }
    for port in [53, 123] {
        host.await_port("udp", port);
    }
    running.into()
}

fn nginx(host: &Host, folder: &Folder) -> Running {
    let at = |name: &str| folder.text(name);
    must(
        Command::new("openssl").args(
            [
                [
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-subj",
                    "/CN=server",
                ]
                .as_slice(),
                &["-keyout", &at("key.pem"), "-out", &at("cert.pem")],
            ]
            .concat(),
        ),
    );
    std::fs::write(folder.path("index.html"), "x".repeat(20_000)).expect("room");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {};\n", at(what)))
        .concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 80;\nlisten [::]:80;\nlisten 443 ssl;\nlisten [::]:443 ssl;\n\
         ssl_certificate {};\nssl_certificate_key {};\nroot {};\n}}\n}}\n",
        at("nginx.pid"),
        at("nginx.log"),
        at("cert.pem"),
        at("key.pem"),
        folder.text("")
    );
    std::fs::write(folder.path("nginx.conf"), configuration).expect("room");
    Running::start(host.command("nginx").args(["-c", &at("nginx.conf"), "-e", &at("nginx.log")]))
}

fn sshd(host: &Host, folder: &Folder) -> Running {
    for key in ["host_key", "user_key"] {
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &folder.text(key)]));
    }
    let configuration = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nPermitRootLogin yes\nStrictModes no\nUsePAM no\nUseDNS no\n",
        folder.text("host_key"),
        folder.text("user_key.pub")
    );
    std::fs::write(folder.path("sshd_config"), configuration).expect("room");
    // sshd wants a folder of its own there, and a name with a path; the mount is this program's alone
    let script = r#"mount -t tmpfs none /run && mkdir /run/sshd && exec "$(command -v sshd)" -D -e -f "$1""#;
    Running::start(host.command("sh").args(["-c", script, "sh", &folder.text("sshd_config")]))
}

fn dnsmasq(host: &Host) -> Running {
    let options = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"];
    let records = ["--pid-file", "--log-facility=-", "--local=/example/", "--host-record=www.example,192.0.2.80"];
    Running::start(host.command("dnsmasq").args(options).args(records))
}

fn chronyd(host: &Host, folder: &Folder) -> Running {
    let configuration =
        format!("local stratum 8\nallow\ncmdport 0\nbindcmdaddress /\npidfile {}\n", folder.text("chronyd.pid"));
    std::fs::write(folder.path("chrony.conf"), configuration).expect("room");
    // -x: the clock stays as it is
    Running::start(host.command("chronyd").args(["-x", "-d", "-u", "root", "-f", &folder.text("chrony.conf")]))
}

/// Starts tcpdump, which takes the packets of `eth0` one by one and keeps none to itself. One by one, each needs as much of
/// the buffer as the snap length.
fn record(host: &Host, to: &Path) -> Running {
    let mut command = host.command("tcpdump");
    command
        .args(["-i", "eth0", "-Z", "root", "--immediate-mode", "-s", "512", "-B", "16384", "-U", "--nano", "-w"])
        .arg(to);
    let mut tcpdump = Running::start(&mut command);
    tcpdump.await_saying("listening on");
    tcpdump
}

/// Waits until a recording has the last packet.
fn await_end_mark(recording: &Path) {
    let has_mark = || {
        let file = std::fs::read(recording).unwrap_or_default();
        file.windows(END_MARK.len()).any(|bytes| bytes == END_MARK).then_some(())
    };
    until(&"tcpdump has seen the last packet", has_mark);
}

fn fetch(host: &Host, scheme: &str, server: IpAddr) {
    let url = format!("{scheme}://{}/", SocketAddr::new(server, if scheme == "http" { 80 } else { 443 }));
    let page = must(host.command("curl").args(["-q", "-sS", "-k", "--noproxy", "*", &url]));
    assert_eq!(page.len(), 20_000, "{url}");
}

fn log_in(host: &Host, folder: &Folder, server: IpAddr) {
    let mut command = host.command("ssh");
    command.args(["-F", "/dev/null", "-q", "-i", &folder.text("user_key"), "-l", "root", &server.to_string()]);
    for option in ["IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"] {
        command.args(["-o", option]);
    }
    assert_eq!(must(command.args(["echo", "welcome"])), "welcome\n");
}

fn ask_name(host: &Host, server: IpAddr, transport: &str) {
    let server = format!("@{server}");
    let query = [&server, "www.example", "+short", "+tries=1", "+time=10", transport];
    assert_eq!(must(host.command("dig").args(query)), "192.0.2.80\n");
}

/// A client's packet of NTP version 4 (RFC 5905, section 7.3), and the answer.
fn ask_time(host: &Host, server: IpAddr) {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = host.inside(|| UdpSocket::bind((any, 0)).expect("a port is free"));
    socket.connect((server, 123)).expect("there is a way");
    socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut question = [0; 48];
    question[0] = 4 << 3 | 3;
    let mut answer = [0; 64];
    socket.send(&question).expect("there is a way");
    assert_eq!(socket.recv(&mut answer).expect("an answer"), 48);
    assert_eq!(answer[0] & 7, 4, "a server's packet");
}

/// What a command prints that has to go well.
#[track_caller]
fn must(command: &mut Command) -> String {
    let ran = ran(command);
    assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
    ran.stdout
}
