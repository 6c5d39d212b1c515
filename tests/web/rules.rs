//! Which requests are answered, and how.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::Value;

use super::{Reply, Server, Stream, TO_US};
use crate::cases::Case;
use crate::program::{document, portlabel};
use crate::terminal::{ODD, assert_plain};

const TOKEN: &str = "a-token-of-some-length";

#[test]
fn everything_has_its_place() {
    let server = Server::of_capture(&[]);
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);

    let snapshot = server.get("/api/v1/snapshot");
    assert_eq!((snapshot.status, snapshot.header("content-type")), (200, "application/json"));
    let (fetched, printed) = (document(&snapshot.body), document(&server.program.stdout()));
    for same in ["final", "source", "ts", "packets", "wire_bytes", "flows", "portless"] {
        assert_eq!(fetched[same], printed[same], "{same}");
    }
    assert!(fetched["interval"].is_object(), "the page draws what happened when");

    let metrics = server.get("/metrics");
    assert_eq!((metrics.status, metrics.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("\nportlabel_read_packets_total 172\n"), "{}", metrics.body);
    let accept = format!("{TO_US}Accept: application/openmetrics-text; version=1.0.0\r\n");
    let metrics = server.ask("GET", "/metrics", &accept);
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text; "), "{metrics:?}");
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);

    for chart in ["throughput.svg?span=whole&unit=packets", "packet_size_bytes.svg?service=https&transport=tcp"] {
        let chart = server.get(&format!("/charts/{chart}"));
        assert_eq!((chart.status, chart.header("content-type")), (200, "image/svg+xml"), "{chart:?}");
        assert!(chart.body.contains("<svg"), "{}", chart.body);
    }
}

#[test]
fn names_of_files_are_text_in_what_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join(ODD);
    fs::write(&capture, &Case::named("dns").bytes()[..3_000]).expect("room");
    let mut command = portlabel();
    let mut server = Server::start(command.args(["--listen", "127.0.0.1:0", "-o", "json"]).arg(&capture));
    server.program.await_state("has read it", |program| program.stdout().ends_with("\n}\n").then_some(()));
    let name = capture.to_str().expect("UTF-8");
    // once the stream is at its end, the others are too
    let mut stream = Stream::open(server.connect(), "");
    let events: Vec<_> = std::iter::from_fn(|| stream.event()).collect();
    for event in &events {
        assert_plain(&event.name, &event.data);
    }
    let told = events.iter().rfind(|event| event.name == "told").expect("it is damaged");
    let told: Value = serde_json::from_str(&told.data).expect("JSON");
    assert!(told["told"][0].as_str().is_some_and(|told| told.starts_with(name)), "{told}");
    for target in ["/", "/metrics", "/api/v1/snapshot", "/charts/throughput.svg?span=whole&unit=packets"] {
        let reply = server.get(target);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_plain(target, &reply.body);
        if target.contains("snapshot") {
            assert_eq!(document(&reply.body)["source"]["names"][0], name);
        }
    }
}

#[test]
fn targets_are_what_they_look_like() {
    let server = Server::of_capture(&[]);
    let cases = [
        ("/?x=y", 200),
        ("/index.html", 404),
        ("/api/v1/snapshot/", 404),
        ("/api/v1/snapshots", 404),
        ("/%61pi/v1/snapshot", 404),
        ("//", 404),
        ("/../etc/passwd", 404),
        ("/api/v1/../v1/snapshot", 404),
        ("/charts/", 404),
        ("/charts/%2e%2e%2fmetrics", 404),
        ("/charts/%ff.svg", 400),
        ("/charts/nothing.svg", 404),
        ("/charts/throughput.svg?width=-1", 404),
        ("/charts/gap_us.svg?service=%00&transport=tcp", 404),
        ("http://localhost/api/v1/snapshot", 200),
        ("http://127.0.0.1:1/", 200),
        ("http://example.org/", 421),
        ("http://user@localhost/", 421),
    ];
    for (target, want) in cases {
        let reply = server.get(target);
        assert_eq!(reply.status, want, "{target}: {reply:?}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::of_capture(&[]);
    for target in ["/", "/metrics", "/api/v1/snapshot", "/api/v1/stream", "/nothing"] {
        let head = server.ask("HEAD", target, TO_US);
        assert_eq!(head.body, "", "{target}");
        let get = server.get(target);
        let without_date = |headers: &[(String, String)]| {
            headers
                .iter()
                .filter(|(name, _)| name != "date" && name != "transfer-encoding")
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!((head.status, without_date(&head.headers)), (get.status, without_date(&get.headers)), "{target}");
    }
}

#[test]
fn every_answer_closes_the_browser_s_doors() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).expect("room");
    let servers = [Server::of_capture(&[]), Server::of_capture(&["--listen-token", token.to_str().expect("ASCII")])];
    for server in &servers {
        for (method, target, headers) in [
            ("GET", "/", TO_US),
            ("GET", "/metrics", TO_US),
            ("GET", "/nothing", TO_US),
            ("GET", "/api/v1/stream", TO_US),
            ("POST", "/", TO_US),
            ("OPTIONS", "/", TO_US),
            ("GET", "/", "Host: example.org\r\n"),
        ] {
            let reply = server.ask(method, target, &format!("{headers}Origin: http://example.org\r\n"));
            for (name, want) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(reply.header(name), want, "{method} {target}");
            }
            let policy = reply.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            let cors = reply.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
            assert_eq!(cors, None, "{method} {target}");
        }
    }
}

#[test]
fn only_this_server_is_answered_for_and_only_to_read() {
    let server = Server::of_capture(&["--listen-host", "stats.example.org", "--listen-host", "192.0.2.7"]);
    let cases = [
        ("GET", TO_US, 200),
        ("GET", "Host: 127.0.0.1:9999\r\n", 200),
        ("GET", "Host: [::1]\r\n", 200),
        ("GET", "Host: STATS.example.org:443\r\n", 200),
        ("GET", "Host: 192.0.2.7\r\n", 200),
        ("GET", "Host: 192.0.2.8\r\n", 421),
        ("GET", "Host: example.org\r\n", 421),
        ("GET", "", 400),
        ("GET", "Host: localhost\r\nHost: localhost\r\n", 400),
        ("GET", "Host: localhost\r\nHost: example.org\r\n", 400),
        ("GET", "Host: local host\r\n", 400),
        ("GET", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n", 403),
        (
            "GET",
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
            200,
        ),
        (
            "GET",
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
            403,
        ),
        (
            "GET",
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: object\r\n",
            403,
        ),
        ("GET", "Host: localhost\r\nContent-Length: 3\r\n", 413),
        ("GET", "Host: localhost\r\nTransfer-Encoding: chunked\r\n", 413),
        ("POST", TO_US, 405),
        ("PUT", TO_US, 405),
        ("DELETE", TO_US, 405),
        ("OPTIONS", TO_US, 405),
        ("TRACE", TO_US, 405),
        ("CONNECT", TO_US, 405),
        ("get", TO_US, 405),
        ("PROPFIND", TO_US, 405),
    ];
    for (method, headers, want) in cases {
        let reply = server.ask(method, "/api/v1/snapshot", headers);
        assert_eq!(reply.status, want, "{method} {headers:?}: {reply:?}");
        if want == 405 {
            assert_eq!(reply.header("allow"), "GET, HEAD", "{method}");
        }
    }
}

#[test]
fn a_token_is_asked_for_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, format!("{TOKEN}\n")).expect("room");
    let server = Server::of_capture(&["--listen-token", path.to_str().expect("ASCII")]);
    let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
    for target in
        ["/", "/metrics", "/api/v1/snapshot", "/api/v1/stream", "/charts/throughput.svg?span=whole", "/nothing"]
    {
        let cases = [
            (None, false),
            (Some(format!("Bearer {TOKEN}")), true),
            (Some(basic(&format!("somebody:{TOKEN}"))), true),
            (Some(format!("Bearer {TOKEN}s")), false),
            (Some(basic(&format!("{TOKEN}:"))), false),
            (Some(TOKEN.to_owned()), false),
            (Some(format!("Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}")), false),
        ];
        for (credentials, is_let_in) in cases {
            let header = credentials.as_ref().map(|credentials| format!("Authorization: {credentials}\r\n"));
            let reply = server.ask("GET", target, &format!("{TO_US}{}", header.unwrap_or_default()));
            if is_let_in {
                assert_eq!(reply.status, if target == "/nothing" { 404 } else { 200 }, "{target} {credentials:?}");
            } else {
                assert_eq!(reply.status, 401, "{target} {credentials:?}");
                let asks = reply.all("www-authenticate");
                let want = ["Basic realm=\"portlabel\", charset=\"UTF-8\"", "Bearer realm=\"portlabel\""];
                assert_eq!(asks, want, "{target} {credentials:?}");
                assert!(!reply.body.contains(TOKEN));
            }
        }
    }
    // who is not let in learns nothing of the name either
    assert_eq!(server.ask("GET", "/", "Host: example.org\r\n").status, 421);
}

#[test]
fn requests_have_bounds() {
    let server = Server::of_capture(&[]);
    let long = "x".repeat(20 << 10);
    let many = "x: y\r\n".repeat(100);
    let cases: [(&str, String, Option<u16>); 8] = [
        ("a long target", format!("GET /{long} HTTP/1.1\r\n{TO_US}\r\n"), Some(431)),
        ("a long header", format!("GET / HTTP/1.1\r\n{TO_US}X: {long}\r\n\r\n"), Some(431)),
        ("many headers", format!("GET / HTTP/1.1\r\n{TO_US}{many}\r\n"), Some(431)),
        ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), Some(400)),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), None),
        ("no version", "GET /\r\n\r\n".to_owned(), Some(400)),
        ("a space before a colon", format!("GET / HTTP/1.1\r\n{TO_US}Content-Length : 5\r\n\r\n"), Some(400)),
        ("a folded header", format!("GET / HTTP/1.1\r\n{TO_US}X: a\r\n b\r\n\r\n"), Some(400)),
    ];
    for (name, request, want) in cases {
        let answer = server.exchange(request.as_bytes());
        assert_eq!(Reply::status_of(&answer), want, "{name}: {}", String::from_utf8_lossy(&answer));
    }
}

/// As `nc -N` does: nothing more will be said, but the answer is waited for.
#[test]
fn who_has_said_everything_is_answered() {
    let server = Server::of_capture(&[]);
    for target in ["/", "/metrics", "/api/v1/snapshot"] {
        // request and end are there before the server looks
        server.program.signal(Signal::STOP);
        let mut streams: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for stream in &mut streams {
            write!(stream, "GET {target} HTTP/1.1\r\n{TO_US}Connection: close\r\n\r\n").expect("the system takes it");
            stream.shutdown(Shutdown::Write).expect("it is open");
        }
        server.program.signal(Signal::CONT);
        for mut stream in streams {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("it is answered");
            let answer = Reply::of(&answer);
            assert_eq!((answer.status, answer.body.len().to_string().as_str()), (200, answer.header("content-length")));
        }
    }
}

#[test]
fn nothing_is_smuggled_behind_a_request() {
    let server = Server::of_capture(&[]);
    let hidden = format!("GET /api/v1/snapshot HTTP/1.1\r\n{TO_US}\r\n");
    let cases = [
        format!("GET / HTTP/1.1\r\n{TO_US}Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("GET / HTTP/1.1\r\n{TO_US}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("GET / HTTP/1.1\r\n{TO_US}Content-Length: 0\r\nContent-Length: 44\r\n\r\n{hidden}"),
        format!("GET / HTTP/1.1\r\n{TO_US}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{hidden}"),
        format!("GET / HTTP/1.1\r\n{TO_US}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("POST / HTTP/1.1\r\n{TO_US}Content-Length: 5\r\n\r\n{hidden}"),
    ];
    for request in cases {
        let answer = String::from_utf8_lossy(&server.exchange(request.as_bytes())).into_owned();
        assert!(!answer.contains("portlabel.snapshot/1"), "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
    }
    // two requests in a row are two
    let pair = format!("GET /nothing HTTP/1.1\r\n{TO_US}\r\nGET /nothing HTTP/1.1\r\n{TO_US}Connection: close\r\n\r\n");
    let answer = String::from_utf8_lossy(&server.exchange(pair.as_bytes())).into_owned();
    assert_eq!(answer.matches("HTTP/1.1 404 ").count(), 2, "{answer}");
}
