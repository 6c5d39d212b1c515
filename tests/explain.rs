//! `portlabel explain` as users meet it: text, JSON, wrong usage; and against the labels that packets get.

use std::fs;

use portlabel::units::Transport;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::frames::{Kind, Packet};
use crate::program::{Ran, portlabel, ran, run};
use crate::records::pcap_file;

/// A run that must go well, without a word on standard error.
#[track_caller]
fn explained(args: &[&str]) -> Ran {
    let ran = run(&[&["explain"], args].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    ran
}

#[test]
fn every_rule_is_shown_and_the_one_that_decides() {
    let text = explained(&["tcp", "10.0.0.5:51812", "10.0.0.9:5601"]).stdout;
    let want = "\
tcp from 10.0.0.5:51812 to 10.0.0.9:5601
  51812 no name
   5601 kibana (overlay; IANA: esmagent), in the strong set

   RULE        SERVER         WHY
   override    –              users' files name neither port, or both
   handshake   –              this packet neither opens nor accepts a connection
   listener    –              live only: no socket of this host listens at either end, or at both
   multicast   –              neither end is a multicast or broadcast address
   learned     –              neither end was seen to serve before, or both were
   same_port   –              the ports differ
   pair        –              the ports are no pair of a client's and a server's
→  strong      10.0.0.9:5601  its port is in the strong set, and the other is not
   system      –              there is no named port below 1024
   registered  10.0.0.9:5601  the only named port from 1024 to 32767, or the lower
   ephemeral   –              there is no named port from 32768 up with the other from 49152 up
   none        –              a rule above decides

kibana, served by 10.0.0.9:5601 (rule: strong)
the reply gets the same label
in a capture 'learned' decides before that, once one end was seen to serve
";
    assert_eq!(text, want);
}

#[test]
fn what_is_decided_is_the_last_word() {
    let folder = TempDir::new().expect("a folder");
    let names = folder.path().join("names");
    fs::write(&names, "own-app 40001/tcp\n").expect("room");
    let names = names.to_str().expect("ASCII");
    let cases: [(&[&str], &str, &[&str]); 9] = [
        (
            &["tcp", "10.0.0.5:51812", "10.0.0.9:5601", "--syn"],
            "handshake",
            &[
                "\nkibana, served by 10.0.0.9:5601 (rule: handshake)\nthe reply gets the same label\n",
                "which opens the connection",
            ],
        ),
        (
            &["tcp", "10.0.0.5:51812", "10.0.0.9:5601", "--iana-names"],
            "strong",
            &["   5601 esmagent (iana), in the strong set\n", "\nesmagent, served by 10.0.0.9:5601 (rule: strong)\n"],
        ),
        (
            &["tcp", "10.0.0.5:20", "10.0.0.9:51000", "--syn"],
            "strong",
            &["\nftp-data, served by 10.0.0.5:20 (rule: strong)\n", "as in active FTP\n"],
        ),
        (
            &["udp", "[fe80::1]:546", "[ff02::1:2]:547"],
            "multicast",
            &["\ndhcpv6-server, served by [ff02::1:2]:547 (rule: multicast)\n"],
        ),
        (&["UDP", "224.0.0.251:5353", "10.0.0.9:53"], "multicast", &["\nmdns, served by 224.0.0.251:5353 "]),
        (&["udp", "[fe80::1%eth0]:53", "[fe80::2]:40000"], "strong", &["\ndomain, served by [fe80::1]:53 "]),
        (&["udp", "0.0.0.0:68", "255.255.255.255:67"], "multicast", &["\nbootps, served by 255.255.255.255:67 "]),
        (
            &["udp", "10.0.0.5:50002", "10.0.0.9:50001"],
            "none",
            &["\nunlabelled, as if served by 10.0.0.9:50001 (rule: none)\n"],
        ),
        (
            &["tcp", "10.0.0.5:443", "10.0.0.9:40001", "--services", names],
            "override",
            &["  40001 own-app (user)\n", "\nown-app, served by 10.0.0.9:40001 (rule: override)\n"],
        ),
    ];
    for (args, rule, want) in cases {
        let text = explained(args).stdout;
        for want in want {
            assert!(text.contains(want), "{args:?}: no {want:?} in\n{text}");
        }
        let arrows: Vec<_> = text.lines().filter(|line| line.starts_with('→')).collect();
        assert!(matches!(arrows[..], [arrow] if arrow.starts_with(&format!("→  {rule} "))), "{args:?}\n{text}");
        let is_told = args.contains(&"--syn") || matches!(rule, "multicast" | "override");
        assert_eq!(text.contains("in a capture"), !is_told, "{args:?}: what can be learned counts\n{text}");
        assert_eq!(text.contains("the reply"), rule != "multicast", "{args:?}: nothing answers from a group\n{text}");
    }
}

#[test]
fn json_says_the_same() {
    let document = explained(&["tcp", "[2001:db8::5]:873", "[2001:db8::9]:2049", "--json"]).json();
    let end = |addr: &str, port| json!({ "addr": addr, "port": port });
    assert_eq!(document["src"]["service"], "rsync");
    assert_eq!(document["dst"]["strong"], true);
    assert_eq!([&document["service"], &document["port"]], [&json!("nfs"), &json!(2049)]);
    assert_eq!([&document["client"], &document["server"]], [&end("2001:db8::5", 873), &end("2001:db8::9", 2049)]);
    assert_eq!(document["reply"], json!({ "service": "nfs", "port": 2049, "evidence": "strong" }));
    let rules = document["rules"].as_array().expect("rules");
    let names: Vec<_> = rules.iter().map(|rule| rule["rule"].as_str().expect("a name")).collect();
    let ladder = [
        "override",
        "handshake",
        "listener",
        "multicast",
        "learned",
        "same_port",
        "pair",
        "strong",
        "system",
        "registered",
    ];
    assert_eq!(names, [&ladder[..], &["ephemeral", "none"]].concat());
    let deciding: Vec<_> = rules.iter().filter(|rule| rule["decides"] == true).collect();
    assert!(matches!(deciding[..], [rule] if rule["rule"] == document["evidence"]), "{document:#}");
    // what would have been said without the strong set
    assert_eq!([&rules[8]["server"], &rules[8]["decides"]], [&end("2001:db8::5", 873), &json!(false)]);

    let group = explained(&["udp", "10.0.0.5:5353", "224.0.0.251:5353", "--json"]).json();
    assert_eq!([&group["reply"], &group["evidence"]], [&Value::Null, &json!("multicast")]);
}

#[test]
fn wrong_usage_says_what_is_right() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "<TRANSPORT> <A:PORT> <B:PORT>"),
        (&["tcp", "10.0.0.5:1"], "<B:PORT>"),
        (&["tpc", "10.0.0.5:1", "10.0.0.9:2"], "tcp, udp, udplite, sctp, dccp"),
        (&["tcp", "10.0.0.5", "10.0.0.9:2"], "such as 10.0.0.5:443 or [2001:db8::5]:443"),
        (&["tcp", "10.0.0.5:65536", "10.0.0.9:2"], "such as 10.0.0.5:443"),
        (&["tcp", "2001:db8::5:1", "10.0.0.9:2"], "such as 10.0.0.5:443"),
        (&["tcp", "10.0.0.5:1", "[2001:db8::9]:2"], "10.0.0.5 and 2001:db8::9 are of different IP versions"),
        (&["udp", "10.0.0.5:1", "10.0.0.9:2", "--syn"], "udp opens no connections"),
    ];
    for (args, want) in cases {
        let ran = run(&[&["explain"], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(
            ran.stderr.contains(want)
                && ran.stderr.contains("Usage: portlabel explain") | ran.stderr.contains("--help"),
            "{args:?}: {}",
            ran.stderr
        );
    }
    let ran = run(&["explain", "tcp", "10.0.0.5:1", "10.0.0.9:2", "--services", "/nowhere/names"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("/nowhere/names"), "{}", ran.stderr);
}

/// Each packet is alone in its capture: nothing was seen before, as in an explanation.
#[test]
fn packets_get_the_label_that_is_explained() {
    let folder = TempDir::new().expect("a folder");
    let ports = [
        0_u16, 20, 53, 67, 68, 79, 161, 162, 443, 546, 547, 873, 2049, 4292, 5060, 5601, 40_001, 47_808, 50_001, 51_820,
    ];
    let mut checked = 0;
    for (at, (transport, kind)) in [
        (Transport::Tcp, Kind::Open),
        (Transport::Tcp, Kind::Data),
        (Transport::Udp, Kind::Data),
        (Transport::Sctp, Kind::Open),
    ]
    .into_iter()
    .enumerate()
    {
        for (src, dst) in ports.into_iter().zip(ports.into_iter().cycle().skip(3 + 2 * at)) {
            let packet = Packet {
                ts_nanos: 1,
                is_v6: false,
                tags: 0,
                extensions: 0,
                transport,
                src: (1, src),
                dst: (2, dst),
                kind,
                payload_len: 9,
                wire_len: 0,
            };
            let capture = folder.path().join("one.pcap");
            fs::write(&capture, pcap_file(&[(1, &packet.owned().data[..])])).expect("room");
            let flow = ran(portlabel().arg(&capture).args(["-o", "flows"])).json();
            let (src, dst) = (format!("10.0.0.1:{src}"), format!("10.0.0.2:{dst}"));
            let syn: &[&str] = if kind == Kind::Open { &["--syn"] } else { &[] };
            let document = explained(&[&[transport.name(), &src, &dst, "--json"], syn].concat()).json();
            for key in ["service", "port", "evidence", "client", "server"] {
                assert_eq!(flow[key], document[key], "{key}: {transport} {src} {dst} {syn:?}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 80);
}
