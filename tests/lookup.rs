//! `portlabel lookup` as users meet it: text, JSON, exit codes, messages.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use portlabel::commands::LOOKUP_JSON_SCHEMA;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::names::known_ports;
use crate::program::{Ran, has, portlabel, ran, run, validator};

/// A run that must go well, without a word on standard error.
#[track_caller]
fn found(args: &[&str]) -> Ran {
    let ran = run(&[&["lookup"], args].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    ran
}

#[test]
fn a_table_says_what_a_port_is() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["443"],
            "\
PORT  PROTO  SERVICE  LAYER    DESCRIPTION
443   tcp    https    iana     http protocol over TLS/SSL
                               list: HTTPS (HTTP over TLS/SSL)
443   udp    quic     overlay  QUIC (HTTP/3); IANA still writes https
                               IANA: https, http protocol over TLS/SSL
                               list: HTTPS (HTTP over TLS/SSL)
443   sctp   https    iana     HTTPS

overlay: the name in use where IANA has another or none; --iana-names prints IANA's
iana: the registry of port numbers that IANA keeps
list: the list of 210 ports that portlabel started from
",
        ),
        (
            &["6000-6010"],
            "\
PORT       PROTO    SERVICE  LAYER  DESCRIPTION
6000-6010  tcp udp  x11      iana   X Window System

iana: the registry of port numbers that IANA keeps
",
        ),
        (
            &["443/udp", "--iana-names"],
            "\
PORT  PROTO  SERVICE  LAYER  DESCRIPTION
443   udp    https    iana   http protocol over TLS/SSL
                             also called quic
                             QUIC (HTTP/3); IANA still writes https
                             list: HTTPS (HTTP over TLS/SSL)

iana: the registry of port numbers that IANA keeps
list: the list of 210 ports that portlabel started from
",
        ),
        (
            &["370/tcp", "831", "3000/tcp"],
            "\
PORT  PROTO    SERVICE       LAYER    DESCRIPTION
370   tcp      codaauth2     iana     codaauth2
                                      also called securecast1
                                      list: Coda authentication server (codaauth2)
                                      list, unlike IANA: McAfee SecureCast outgoing packets (securecast1)
831   tcp udp  netconf-beep  list     NETCONF over BEEP (historical)
3000  tcp      dev-http      overlay  several programs share this port: Grafana, Gitea, Node development servers
                                      IANA: hbci, HBCI
                                      also called remoteware-cl

overlay: the name in use where IANA has another or none; --iana-names prints IANA's
iana: the registry of port numbers that IANA keeps
list: the list of 210 ports that portlabel started from
",
        ),
        (
            &["mosh/udp", "3322/tcp"],
            "\
PORT         PROTO  SERVICE     LAYER  DESCRIPTION
60000-61000  udp    –           –      60000-61000 is the range of mosh (Mosh sessions; client ports too), which never names a flow
2627         udp    moshebeeri  iana   Moshe Beeri
3322         tcp    active-net  iana   Active Networks
                                       IANA gives this name without a transport; it is taken for tcp and udp

iana: the registry of port numbers that IANA keeps
",
        ),
        // the same port of two queries is shown once
        (
            &["22/sctp", "ssh/sctp"],
            "\
PORT  PROTO  SERVICE  LAYER  DESCRIPTION
22    sctp   ssh      iana   SSH

iana: the registry of port numbers that IANA keeps
",
        ),
    ];
    for (args, want) in cases {
        assert_eq!(found(args).stdout, want, "{args:?}");
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = include_str!("../README.md");
    let (_, example) = readme.split_once("$ portlabel lookup ").expect("an example");
    let (args, text) = example.split_once('\n').expect("what it prints");
    let args: Vec<_> = args.split(' ').collect();
    assert_eq!(text.split_once("```").map(|(text, _)| text), Some(&*found(&args).stdout));
}

#[test]
fn a_table_says_what_users_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own");
    fs::write(&file, "old 8443/tcp\nhttps 8443/tcp web # Admin \x1b[31mpages\nhttps 443/udp\n").expect("room");
    let file = file.to_str().expect("ASCII");
    let want = format!(
        "\
PORT  PROTO  SERVICE  LAYER  DESCRIPTION
8443  tcp    https    user   Admin \\u{{1b}}[31mpages
                             named in {file}, line 2
                             IANA: pcsync-https, PCsync HTTPS
                             also called web, old, https-alt
                             HTTPS on a high port (Tomcat, admin consoles)
443   udp    https    user   named in {file}, line 3
                             IANA: http protocol over TLS/SSL
                             also called quic
                             QUIC (HTTP/3); IANA still writes https
                             list: HTTPS (HTTP over TLS/SSL)

user: a file that --services names
iana: the registry of port numbers that IANA keeps
list: the list of 210 ports that portlabel started from
"
    );
    assert_eq!(found(&["8443/tcp", "443/udp", "--services", file]).stdout, want);
    // and whatever else they wrote leads to it
    for query in ["old", "WEB/tcp", "31mpages", "pcsync-https/tcp"] {
        let matches = found(&[query, "--services", file, "--json"]).json();
        assert_eq!(
            (&matches["matches"][0]["port"], &matches["matches"][0]["service"]),
            (&json!(8443), &json!("https"))
        );
    }
}

#[test]
fn json_has_every_key() {
    let document = found(&["3389/udp", "30001/udp", "60001/udp", "--json"]).json();
    let want = json!({
        "schema": "portlabel.lookup/1",
        "matches": [
            {
                "query": "3389/udp", "port": 3389, "transport": "udp", "service": "rdp", "layer": "overlay",
                "iana_name": "ms-wbt-server", "aliases": ["ms-wbt-server"], "description": "MS WBT Server",
                "list": [
                    { "name": "ms-wbt-server", "words": "Remote Desktop Protocol (RDP)", "agrees": "yes",
                      "note": "IANA name ms-wbt-server does not say RDP" },
                ],
                "overlay": {
                    "name": "rdp", "action": "rename", "why": "Remote Desktop; IANA ms-wbt-server does not say so",
                    "source": "Zeek a13de64fbb (2026-08-21) scripts/base/protocols/rdp/main.zeek",
                },
                "user": null, "remarks": [],
            },
            {
                "query": "30001/udp", "port": 30001, "transport": "udp", "service": "pago-services1", "layer": "iana",
                "iana_name": "pago-services1", "aliases": [], "description": "Pago Services 1", "list": [],
                "overlay": null, "user": null, "remarks": [],
            },
            {
                "query": "60001/udp", "port": 60001, "transport": "udp", "service": null, "layer": null,
                "iana_name": null, "aliases": [], "description": null, "list": [],
                "overlay": {
                    "name": "mosh", "action": "note", "why": "Mosh sessions; client ports too",
                    "source": "Debian firewalld 1.3.3-1~deb12u2 services/mosh.xml",
                },
                "user": null,
                "remarks":
                    ["60000-61000 is the range of mosh (Mosh sessions; client ports too), which never names a flow"],
            },
        ],
        "unmatched": [],
    });
    assert_eq!(document, want, "{document:#}");
}

#[test]
fn every_port_follows_the_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own");
    fs::write(&file, format!("{} 1000-1010/tcp a b # c\nx 22/sctp # \n", "n".repeat(63))).expect("room");
    let file = file.to_str().expect("ASCII");
    // reading it holds it to the schema
    let all = found(&["0-65535", "--json"]).json();
    assert_eq!(all["matches"].as_array().map(Vec::len), Some(known_ports().len()));
    found(&["0-2000", "22/udplite", "n", "--json", "--services", file]).json();
    found(&["0-9999", "--json", "--iana-names"]).json();
}

#[test]
fn the_schema_is_strict() {
    let schema = validator(LOOKUP_JSON_SCHEMA);
    let good = found(&["443/udp", "3389/tcp", "831/tcp", "--json"]).json();
    assert!(schema.is_valid(&good));
    let cases: [(&str, &str, Value); 13] = [
        ("an unknown key", "/matches/0/speed", json!(1)),
        ("a port too large", "/matches/0/port", json!(65_536)),
        ("a transport in capitals", "/matches/0/transport", json!("TCP")),
        ("a layer that is none", "/matches/0/layer", json!("debian")),
        ("a name without a layer", "/matches/0/layer", Value::Null),
        ("a layer without a name", "/matches/0/service", Value::Null),
        ("a user's name without the file", "/matches/0/layer", json!("user")),
        ("a name in use without its row", "/matches/0/overlay", Value::Null),
        ("a name of the list that IANA has too", "/matches/2/iana_name", json!("x")),
        ("an action that is none", "/matches/0/overlay/action", json!("drop")),
        ("an empty alias", "/matches/0/aliases", json!([""])),
        ("an alias twice", "/matches/0/aliases", json!(["a", "a"])),
        ("another schema", "/schema", json!("portlabel.lookup/2")),
    ];
    for (name, pointer, value) in cases {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        bad.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").insert(key.to_owned(), value);
        assert!(!schema.is_valid(&bad), "{name}");
    }
    for (pointer, key) in [("", "unmatched"), ("/matches/0", "user"), ("/matches/0/list/0", "note")] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(key);
        assert!(!schema.is_valid(&bad), "without {pointer}/{key}");
    }
}

#[test]
fn exit_codes_say_whether_anything_is_known() {
    const HINT: &str =
        "portlabel: ask for a port (443, 22/tcp, 6000-6010), a name or a part of one (ssh), or a word (kerberos)\n";
    let cases: [(&[&str], i32, &str); 6] = [
        (&["443", "ssh"], 0, ""),
        (
            &["4", "443", "nonsuch"],
            0,
            "portlabel: nothing is known of \"4\"\nportlabel: nothing is known of \"nonsuch\"\n",
        ),
        (&["4"], 1, "portlabel: nothing is known of \"4\"\n"),
        (&["443/dccp"], 1, "portlabel: nothing is known of \"443/dccp\"\n"),
        (&["no such thing"], 1, "portlabel: nothing is known of \"no such thing\"\n"),
        (&["\u{1b}[31m"], 1, "portlabel: nothing is known of \"\\u{1b}[31m\"\n"),
    ];
    for (queries, code, says) in cases {
        let hint = if code == 1 { HINT } else { "" };
        let text = run(&[&["lookup"], queries].concat());
        assert_eq!((text.code, text.stderr), (Some(code), format!("{says}{hint}")), "{queries:?}");
        assert_eq!(text.stdout.is_empty(), code == 1, "{queries:?}");
        let json = run(&[&["lookup", "--json"], queries].concat());
        assert_eq!((json.code, &json.stderr), (Some(code), &format!("{says}{hint}")), "{queries:?}");
        let (document, said) = (json.json(), says.matches("nothing").count());
        assert_eq!(document["unmatched"].as_array().map(Vec::len), Some(said));
        assert_eq!(document["matches"].as_array().is_some_and(Vec::is_empty), code == 1, "{queries:?}");
    }
}

#[test]
fn wrong_usage_says_what_is_right() {
    let cases: [(&[&str], &str); 12] = [
        (&["lookup"], "the following required arguments were not provided:\n  <QUERY>..."),
        (&["lookup", "70000"], "\"70000\" is no port; ports go from 0 to 65535"),
        (&["lookup", "80-79"], "the range 80-79 is reversed; write 79-80"),
        (&["lookup", "80-"], "\"\" is no port; ports go from 0 to 65535"),
        (&["lookup", "22/tpc"], "\"tpc\" is no transport; one of: tcp, udp, udplite, sctp, dccp"),
        (
            &["lookup", "443", ""],
            "it is empty; ask for a port such as 443, a range such as 6000-6010, or a name such as ssh",
        ),
        (&["lookup", "443", "-o", "json"], "unexpected argument '-o'"),
        (&["lookup", "443", "--interval", "1s"], "unexpected argument '--interval'"),
        (&["lookup", "443", "--color", "red"], "invalid value 'red'"),
        (
            &["--iana-names", "lookup", "443"],
            "'lookup' stands before its options, as in: portlabel lookup 443 --services FILE",
        ),
        (
            &["lookup", "443", "--services", "/nowhere"],
            "portlabel: /nowhere: cannot read the names: No such file or directory",
        ),
        (&["lookup", "443", "--services", "/"], "portlabel: /: cannot read the names: Is a directory"),
    ];
    for (args, says) in cases {
        let ran = run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert_eq!(ran.stderr.matches(says).count(), 1, "{args:?}: {ran:?}");
    }
}

#[test]
fn captures_may_be_called_lookup() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = crate::cases::Case::named("dns");
    fs::copy(&capture.capture, folder.path().join("lookup")).expect("room");
    let cases: [&[&str]; 3] = [&["./lookup"], &["-r", "lookup"], &["-q", "lookup"]];
    for args in cases {
        let ran = ran(portlabel().current_dir(folder.path()).args(args).args(["-o", "json"]));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(ran.json()["schema"], "portlabel.snapshot/1");
    }
    let ran = ran(portlabel().current_dir(folder.path()).args(["lookup", "443"]));
    assert!(ran.stdout.starts_with("PORT"), "{ran:?}");
}

#[test]
fn help_is_that_of_the_command() {
    for arg in ["-h", "--help"] {
        let ran = found(&[arg]);
        assert!(ran.stdout.contains("Usage: portlabel lookup [OPTIONS] <QUERY>..."), "{ran:?}");
        assert!(!ran.stdout.contains("--interval"), "{ran:?}");
    }
    assert!(run(&["--help"]).stdout.contains("lookup"));
}

#[test]
fn head_is_no_failure() {
    for more in [&[][..], &["--json"]] {
        let mut command = portlabel();
        command.args(["lookup", "0-65535"]).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        thread::sleep(Duration::from_millis(20));
        let ran = crate::program::end_of(child);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{more:?}");
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let full = portlabel().args(["lookup", "443"]).stdout(full).stderr(Stdio::piped()).spawn().expect("it starts");
    let ran = crate::program::end_of(full);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, "portlabel: standard output: No space left on device (os error 28)\n");
}

/// Standard output on a terminal of so many columns.
fn on_terminal(columns: usize, args: &str) -> String {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("'{}' lookup {args}", env!("CARGO_BIN_EXE_portlabel")), "/dev/null"]);
    command.stdin(Stdio::null()).env_remove("NO_COLOR").env("COLUMNS", columns.to_string()).env("TERM", "xterm");
    let ran = ran(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.replace("\r\n", "\n")
}

#[test]
fn the_table_fits_the_terminal_and_is_coloured_only_there() {
    if !has("script", "there is no terminal to print on") {
        return;
    }
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for columns in [60, 80, 120, 200] {
        let text = on_terminal(columns, "0-65535 --color never");
        let wide: Vec<_> = text.lines().filter(|line| line.width() > columns).collect();
        assert!(wide.is_empty() && text.lines().count() > 6_000, "{columns}: {wide:?}");
        let described = on_terminal(columns, "443/udp --color never");
        assert!(flat(&described).contains("QUIC (HTTP/3);"), "{described}");
    }
    let coloured = on_terminal(80, "443 4/tcp ssh");
    assert!(coloured.contains("\n443    tcp      \u{1b}[36mhttps\u{1b}[0m "), "{coloured:?}");
    assert!(coloured.starts_with("\u{1b}[1mPORT "), "{coloured:?}");
    // a name that is folded is not painted, and those behind it are
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("own");
    fs::write(&own, format!("{} 7/tcp\n", "n".repeat(40))).expect("room");
    let text = on_terminal(80, &format!("7/tcp 443/tcp --services '{}'", own.display()));
    assert!(text.contains("\u{1b}[36mhttps\u{1b}[0m"), "{text:?}");
    let mut bare = coloured.clone();
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[36m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, on_terminal(80, "443 4/tcp ssh --color never"), "colour is only paint");
    assert!(!found(&["443"]).stdout.contains('\u{1b}'));
    assert!(found(&["443", "--color", "always"]).stdout.contains('\u{1b}'));
}
