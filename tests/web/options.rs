//! Options, messages, exit codes, and when the page ends.

use std::fs;
use std::io::{Write as _, pipe};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use rustix::process::Signal;

use super::Server;
use crate::cases::Case;
use crate::program::{portlabel, run};
use crate::running::{Running, until};

#[test]
fn what_is_wrong_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("room");
        path.to_str().expect("ASCII").to_owned()
    };
    let (empty, short, missing) = (file("empty", "\n"), file("short", "secret\n"), "/nowhere/token".to_owned());
    let capture = Case::named("office").capture;
    let capture = capture.to_str().expect("ASCII");
    let cases: [(&[&str], i32, &str); 14] = [
        (&["--listen", "9465"], 2, "expected an address and a port, such as 127.0.0.1:9465"),
        (&["--listen", "example.org:9465"], 2, "expected an address and a port"),
        (&["--listen", ":0"], 2, "--listen :0 lets other hosts connect: --listen-token FILE asks them for a token"),
        (&["--listen", "0.0.0.0:0"], 2, "--listen 0.0.0.0:0 lets other hosts connect"),
        (&["--listen", "[::]:0"], 2, "--listen [::]:0 lets other hosts connect"),
        (&["--listen-open"], 2, "--listen <ADDR>"),
        (&["--listen-token", &short], 2, "--listen <ADDR>"),
        (&["--listen", ":0", "--listen-open", "--listen-token", &short], 2, "cannot be used with"),
        (&["--listen", ":0", "--listen-host", "a b"], 2, "expected the name of a host without a port"),
        (
            &["--listen", ":0", "--listen-open", "--listen-host", "a:80"],
            2,
            "expected the name of a host without a port",
        ),
        (
            &["--listen", ":0", "--listen-token", &empty],
            2,
            "empty: the token is empty; make one with: openssl rand -hex 32",
        ),
        (&["--listen", ":0", "--listen-token", &short], 2, "short: a token has at least 16 characters, and this one 6"),
        (&["--listen", ":0", "--listen-token", &missing], 2, "/nowhere/token: cannot read the token: No such file"),
        (&["--listen", "192.0.2.1:0", "--listen-open"], 1, "portlabel: cannot listen on 192.0.2.1:0: "),
    ];
    for (args, code, want) in cases {
        let ran = run(&[&[capture], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(want), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = taken.local_addr().expect("it has one").to_string();
    let ran = run(&[capture, "--listen", &addr]);
    let want = format!("portlabel: cannot listen on {addr}: Address already in use (os error 98)\n");
    assert_eq!((ran.code, ran.stderr), (Some(1), want));
}

#[test]
fn the_page_of_a_capture_stays_until_its_user_has_seen_it() {
    for (signal, code) in [(Signal::INT, 0), (Signal::TERM, 0)] {
        let server = Server::of_capture(&[]);
        assert_eq!(server.get("/api/v1/snapshot").status, 200);
        server.program.signal(signal);
        let ended = server.program.end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn the_page_of_a_damaged_capture_stays_and_one_without_anything_does_not() {
    let case = Case::named("office");
    let bytes = case.bytes();
    let (reader, mut writer) = pipe().expect("a pipe");
    let mut command = portlabel();
    command.args(["-", "--listen", "127.0.0.1:0", "-o", "json"]).stdin(reader);
    let mut server = Server::start(&mut command);
    drop(command);
    writer.write_all(&bytes[..bytes.len() - 1]).expect("it reads");
    drop(writer);
    server.program.await_state("has read it", |program| program.stdout().ends_with("\n}\n").then_some(()));
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.program.interrupt().code, Some(3), "as without a page");

    let nothing = run(&["/nowhere.pcap", "--listen", "127.0.0.1:0"]);
    assert_eq!(nothing.code, Some(1), "it ends by itself: {nothing:?}");
}

#[test]
fn a_reader_that_goes_away_leaves_the_page() {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let mut command = portlabel();
    command.args(["--listen", "127.0.0.1:0", "-o", "ndjson"]).arg(Case::named("office").capture);
    command.stdin(Stdio::null());
    let server = Server::of(Running::start_into(&mut command, writer));
    until(&"it is read to its end", || server.get("/api/v1/snapshot").body.contains("\"final\":true,").then_some(()));
    assert_eq!(server.program.interrupt().code, Some(0));
}

#[test]
fn a_token_that_everybody_can_read_is_remarked_upon() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef").expect("room");
    for (mode, is_told) in [(0o600, false), (0o644, true)] {
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).expect("it is ours");
        let server = Server::of_capture(&["--listen-token", token.to_str().expect("ASCII")]);
        let said = server.program.interrupt().stderr;
        assert_eq!(said.contains("every user of this host can read the token"), is_told, "{mode:o}: {said}");
    }
}

#[test]
fn every_address_of_the_host_can_be_listened_on() {
    let server = Server::of_capture(&[]);
    assert!(server.addr.ip().is_loopback());
    let case = Case::named("office");
    for (listen, asked) in [(":0", "127.0.0.1"), (":0", "[::1]"), ("0.0.0.0:0", "127.0.0.2"), ("[::1]:0", "[::1]")] {
        let mut command = portlabel();
        command.args(["--listen", listen, "--listen-open", "-o", "json"]).arg(&case.capture);
        let mut program = Running::start(&mut command);
        program.await_saying("portlabel: listening on http://");
        let said = program.stderr();
        let port = said.trim_end().trim_end_matches('/').rsplit_once(':').expect("a port").1.to_owned();
        let addr = format!("{asked}:{port}").parse().expect("an address");
        let server = Server { program, addr };
        let reply = server.ask("GET", "/", &format!("Host: {addr}\r\n"));
        assert_eq!(reply.status, 200, "{listen} {asked}: {reply:?}");
    }
}
