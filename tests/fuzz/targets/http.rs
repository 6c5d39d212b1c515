//! What a client may send to the page: any bytes over a real connection, to a real server.
//!
//! The first byte of an input says which server: even, one that lets everybody in; odd, one that asks for a token.

#![no_main]

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use portlabel::output::{Listen, Server};
use rustix::fs::{MemfdFlags, memfd_create};
use shared::requests::{TOKEN, seeds};
use shared::sample;
use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register;

/// Whoever has said nothing for so long waits for more of a request.
const PAUSE: Duration = Duration::from_millis(100);
/// Answers take less, also on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(20);
/// Headers of every answer to a request that could be read.
const SEALS: [&str; 4] = [
    "x-content-type-options: nosniff\r\n",
    "x-frame-options: DENY\r\n",
    "cache-control: no-store\r\n",
    "content-security-policy: ",
];

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// The servers, without and with a token. They serve until the process ends.
static SERVERS: LazyLock<[Served; 2]> = LazyLock::new(|| [false, true].map(Served::new));

struct Served {
    addr: SocketAddr,
    /// Ends with this.
    _server: Server,
}

impl Served {
    fn new(has_token: bool) -> Self {
        // as in every Rust program whose main is its own: who writes to a client that has gone gets an error
        register(SIGPIPE, Arc::default()).expect("a signal");
        let mut token = File::from(memfd_create("token", MemfdFlags::CLOEXEC).expect("memory"));
        token.write_all(TOKEN.as_bytes()).expect("memory");
        let path = PathBuf::from(format!("/proc/self/fd/{}", token.as_raw_fd()));
        let addr = "127.0.0.1:0".parse().expect("an address");
        let listen = Listen { addr, token: has_token.then_some(path), hosts: vec![] };
        let mut server = Server::bind(&listen, 200).expect("a port");
        server.start().expect("a thread");
        server.feed().publish(&sample());
        let addr = server.url().trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
        // there is nothing to be seen before the snapshot has come
        while !ask(addr, &good("/api/v1/snapshot")).starts_with(OK) {}
        Self { addr, _server: server }
    }
}

/// A request that is answered.
fn good(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n")
        .into()
}

/// What comes back, until the server closes; of a stream, its beginning.
fn ask(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).expect("the server takes connections");
    stream.set_read_timeout(Some(PAUSE)).expect("a socket");
    // it may have heard enough before everything is said
    let _ = stream.write_all(request);
    let (mut answer, mut piece, mut is_over) = (Vec::new(), [0; 16 << 10], false);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return answer,
            Ok(len) => answer.extend(&piece[..len]),
            // the fuzzer looks at the clock
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return answer,
            // it waits for more, which will not come
            Err(error) if error.kind() == ErrorKind::WouldBlock && !is_over => {
                is_over = true;
                let _ = stream.shutdown(Shutdown::Write);
                stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
            }
            Err(error) => panic!("no answer, and no end: {error}"),
        }
        if answer.windows(17).any(|text| text == b"text/event-stream") {
            return answer;
        }
    }
}

/// The bytes hold the text, whatever the case of its letters.
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|piece| piece.eq_ignore_ascii_case(text.as_bytes()))
}

fuzz_target!(init: seeds(), |input: &[u8]| -> Corpus {
    let Some((kind, request)) = input.split_first() else { return Corpus::Reject };
    let has_token = !kind.is_multiple_of(2);
    let addr = SERVERS[usize::from(has_token)].addr;
    let answer = ask(addr, &[request, &good("/metrics")].concat());
    // empty lines before a request are none of it, and what has no end may have become a part of the good one
    let begun = request.trim_ascii_start();
    let is_whole = holds(begun, "\r\n\r\n") || holds(begun, "\n\n");
    if is_whole && !answer.is_empty() {
        let head_len = answer.windows(4).position(|text| text == b"\r\n\r\n").expect("a head");
        let head = str::from_utf8(&answer[..head_len + 2]).expect("text");
        let (status, headers) = head.split_once("\r\n").expect("a status line");
        let status = status.strip_prefix("HTTP/1.").expect("HTTP").get(2..5).expect("a status");
        assert!(headers.chars().all(|c| !c.is_control() || c == '\r' || c == '\n'), "{headers:?}");
        // what cannot be read as a request is refused before anything is known of it
        let is_readable = !headers.contains("content-length: 0\r\n") || status == "200";
        if is_readable {
            assert!(SEALS.iter().all(|seal| headers.contains(seal)), "{headers:?}");
        }
        if status == "200" {
            assert!(holds(request, "GET ") || holds(request, "HEAD "), "nothing else reads");
            let is_ours = ["127.", "localhost", "::", "0:0:0:0"].iter().any(|host| holds(request, host));
            assert!(is_ours, "answered for another server");
            let is_known = holds(request, TOKEN) || holds(request, "basic ");
            assert!(!has_token || is_known, "answered without a token");
        }
    }
    let alive = ask(addr, &good("/api/v1/snapshot"));
    assert!(alive.starts_with(OK), "{}", String::from_utf8_lossy(&alive));
    Corpus::Keep
});
