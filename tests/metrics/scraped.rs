//! Metrics as Debian's own node_exporter and Prometheus take them.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;

use super::dashboard::queries;
use super::scan::records;
use super::{get, open_metrics_samples, samples};
use crate::netns::{Host, Wire, v4};
use crate::program::{has, portlabel};
use crate::records::pcap_header;
use crate::running::{Running, until};

/// The textfile collector and nothing else.
fn only_textfiles(command: &mut Command, folder: &Path) {
    command.args(["--collector.disable-defaults", "--collector.textfile"]);
    command.arg(format!("--collector.textfile.directory={}", folder.display()));
}

/// Where node_exporter and Prometheus say they listen.
fn address_of(program: &mut Running) -> SocketAddr {
    program.await_state("listens", |program| {
        let said = program.stderr();
        let behind = said.split_once("msg=\"Listening on\" address=")?.1;
        behind.split_once(['\n', ' '])?.0.parse().ok()
    })
}

#[test]
fn node_exporter_never_reads_half_a_file() {
    const SCRAPES: usize = 50;
    if !has("prometheus-node-exporter", "nobody reads the file while it is rewritten") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("portlabel.prom");
    let mut command = Command::new("prometheus-node-exporter");
    command.arg("--web.listen-address=127.0.0.1:0");
    only_textfiles(&mut command, folder.path());
    let mut exporter = Running::start(&mut command);
    let address = address_of(&mut exporter);

    let (to_program, mut packets) = std::io::pipe().expect("the system has pipes");
    let mut command = portlabel();
    command.args(["-", "--interval", "10ms", "-q", "-o"]).arg(format!("prometheus={}", path.display()));
    let program = Running::start(command.stdin(to_program));
    drop(command);
    packets.write_all(&pcap_header()).expect("it reads");

    let scraping = thread::spawn(move || {
        let (mut read, mut last) = (0, 0.0);
        while read < SCRAPES {
            let (status, text) = get(address, "/metrics", "text/plain").expect("it answers");
            assert_eq!(status, 200);
            let found = samples(&text);
            assert!(found["node_textfile_scrape_error"] < 0.5, "{text}");
            let packets = found.get("portlabel_read_packets_total").copied().unwrap_or_default();
            assert!(packets >= last, "from {last} to {packets}");
            read += usize::from(packets > last);
            last = packets;
        }
    });
    // ports come again and again, and time goes on
    let ports: Vec<u16> = (1..=u16::MAX).collect();
    for (start, ports) in (0..).step_by(256).zip(ports.chunks(256).cycle()) {
        if scraping.is_finished() {
            break;
        }
        packets.write_all(&records(ports, start, true)).expect("it reads");
    }
    scraping.join().expect("nothing was wrong");
    drop(packets);
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

/// Where programs listen, on the client of a wire, where nobody else does.
const PROMETHEUS: &str = "127.0.0.1:9090";
const EXPORTER: &str = "127.0.0.1:9100";
const PAGE: &str = "127.0.0.1:9465";

/// Prometheus on a host, as the README has it, but quicker: it scrapes a page, and the textfiles of node_exporter.
fn prometheus(host: &Host, folder: &Path) -> Running {
    let config = format!(
        "global:
  scrape_interval: 250ms
  scrape_timeout: 250ms
scrape_configs:
  - job_name: portlabel
    static_configs: [targets: ['{PAGE}']]
  - job_name: node
    static_configs: [targets: ['{EXPORTER}']]
"
    );
    let path = folder.join("prometheus.yml");
    fs::write(&path, config).expect("room");
    let mut command = host.command("prometheus");
    command.arg(format!("--config.file={}", path.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
    let mut program = Running::start(command.arg(format!("--web.listen-address={PROMETHEUS}")));
    program.await_saying("Server is ready to receive web requests.");
    program
}

/// The answer of Prometheus on a host to a request of its API.
fn asked(host: &Host, path: &str) -> Value {
    let server = PROMETHEUS.parse().expect("an address");
    let (status, body) = host.inside(|| get(server, path, "*/*")).expect("it answers");
    assert_eq!(status, 200, "{path}: {body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["status"], "success", "{path}: {body}");
    assert_eq!(answer.get("warnings"), None, "{path}: {body}");
    answer["data"].clone()
}

/// What a query yields now: the labels and value of each sample.
fn query(host: &Host, query: &str) -> Vec<(Value, f64)> {
    let data = asked(host, &format!("/api/v1/query?query={}", encoded(query)));
    let value = |sample: &Value| sample["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
    data["result"].as_array().expect("samples").iter().map(|sample| (sample["metric"].clone(), value(sample))).collect()
}

/// What the README advises to ask.
fn queries_of_readme() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let block = readme.split("```promql\n").nth(1).and_then(|behind| behind.split("```").next()).expect("a block");
    let queries: Vec<_> = block.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(queries.len() > 3, "{queries:?}");
    queries
}

/// Text as a part of a URL's query (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}

#[test]
fn prometheus_answers_every_query_of_the_dashboard() {
    let has_them =
        ["prometheus", "prometheus-node-exporter"].map(|tool| has(tool, "no query of the dashboard is asked"));
    let Some(wire) = Wire::new().filter(|_| has_them == [true, true]) else { return };
    let (client, server) = (&wire.client, &wire.server);
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let textfiles = folder.path().join("textfiles");
    fs::create_dir(&textfiles).expect("room");
    // who serves a page becomes nobody
    chown(&textfiles, Some(65_534), Some(65_534)).expect("root can");
    let to_file = format!("prometheus={}", textfiles.join("portlabel.prom").display());

    let traffic = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics/traffic.py");
    let address = v4(0, server).to_string();
    let mut serving = Running::start(server.command("python3").args([traffic, "serve", &address]));
    serving.await_state("serves", |serving| (!serving.stdout().is_empty()).then_some(()));
    let mut program = client.command(env!("CARGO_BIN_EXE_portlabel"));
    program.args(["-i", "eth0", "--no-listeners", "--interval", "200ms", "--listen", PAGE, "-o", &to_file]);
    let mut program = Running::start(&mut program);
    program.await_thread("capture");
    let asking = Running::start(client.command("python3").args([traffic, "ask", &address]));
    let pinging = Running::start(client.command("ping").args(["-q", "-i", "0.2", &address]));
    let mut exporter = client.command("prometheus-node-exporter");
    exporter.arg(format!("--web.listen-address={EXPORTER}"));
    only_textfiles(&mut exporter, &textfiles);
    let _exporter = Running::start(&mut exporter);
    let _prometheus = prometheus(client, folder.path());

    let hosts = until(&"both ways to the metrics are scraped", || {
        let path = format!("/api/v1/label/instance/values?match[]={}", encoded("portlabel_build_info"));
        let hosts = asked(client, &path);
        (hosts.as_array().expect("names").len() == 2).then_some(hosts)
    });
    assert_eq!(hosts, serde_json::json!([EXPORTER, PAGE]));
    // Prometheus asks the page for OpenMetrics
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let page = client.inside(|| get(PAGE.parse().expect("an address"), "/metrics", accept)).expect("it answers").1;
    assert_eq!(open_metrics_samples(&page), samples(&page).len());
    for template in queries() {
        for host in [PAGE, EXPORTER, ".*"] {
            let text = template.replace("$host", host).replace("$service", ".*").replace("$__rate_interval", "3s");
            assert!(!text.contains('$'), "{text}");
            until(&text, || query(client, &text).iter().any(|(_, value)| value.is_finite()).then_some(()));
        }
    }
    for text in queries_of_readme() {
        // none of them asks for something that is not there; that nothing was dropped is an answer
        until(&text, || (!query(client, &text).is_empty() || text.ends_with("> 0")).then_some(()));
    }
    // the names of buckets are the same on either way, so that their sums are those of all hosts
    let buckets =
        query(client, "count by (__name__, le) (sum by (__name__, le, instance) ({__name__=~'portlabel_.*_bucket'}))");
    assert!(buckets.len() > 30, "{buckets:?}");
    assert!(buckets.iter().all(|(_, instances)| (instances - 2.0).abs() < 0.1), "{buckets:?}");

    // when nothing comes any more, both ways tell the same, and together twice as much
    drop((asking, pinging, serving));
    until(&"both ways tell the same", || {
        let totals = query(client, "sum by (instance) (portlabel_read_bytes_total)");
        let sum = query(client, "sum(portlabel_bytes_total) + sum(portlabel_portless_bytes_total)");
        let [(_, one), (_, other)] = totals[..] else { panic!("two hosts: {totals:?}") };
        (one > 10_000.0 && (one - other).abs() < 0.5 && (sum[0].1 - one - other).abs() < 0.5).then_some(())
    });
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
