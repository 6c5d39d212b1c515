//! Clients that want to do harm, while packets are counted.

use std::io::{Read as _, Write as _, pipe};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Reply, Server, Stream, TO_US, descriptors};
use crate::cases::Case;
use crate::netns::Wire;
use crate::program::{has, portlabel, ran};
use crate::records::records;
use crate::running::{Running, until};

/// A connection that its client may give up at any time.
fn hostile(addr: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(1))).ok()?;
    Some(stream)
}

/// Bytes that follow from a number, each as likely as any other.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        // xorshift64 (Marsaglia, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Says that it is over when the test is, also when that has failed: clients would go on for ever.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One visit of each kind of client. What becomes of it is the server's affair.
fn visit(addr: SocketAddr, number: usize) {
    let Some(mut stream) = hostile(addr) else { return };
    let garbage = noise(number, 2_000);
    let long = vec![b'x'; 1 << 20];
    let smuggled =
        format!("GET / HTTP/1.1\r\n{TO_US}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /");
    let storm = format!("GET /charts/throughput.svg?span=whole&width={} HTTP/1.1\r\n{TO_US}\r\n", 300 + number % 2_000);
    let pipelined = format!("GET /api/v1/snapshot HTTP/1.1\r\n{TO_US}\r\n").repeat(50);
    let requests: [&[u8]; 8] = [
        &garbage,
        b"GET / HTTP/1.1\r\nX: ",
        smuggled.as_bytes(),
        storm.as_bytes(),
        pipelined.as_bytes(),
        b"POST /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"",
    ];
    let request = requests[number % requests.len()];
    let mut sent = stream.write_all(request);
    if number % requests.len() == 1 {
        sent = sent.and_then(|()| stream.write_all(&long));
    }
    // some look at the answer, the others are gone
    if sent.is_ok() && number.is_multiple_of(3) {
        let _ = stream.read(&mut [0; 512]);
    }
    if number.is_multiple_of(5) {
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// Clients that keep their connections and never take or finish anything.
fn squatters(addr: SocketAddr, is_over: &AtomicBool) {
    let mut silent: Vec<_> = (0..60).filter_map(|_| hostile(addr)).collect();
    let mut slow: Vec<_> = (0..60).filter_map(|_| hostile(addr)).collect();
    let streams: Vec<_> = (0..60).filter_map(|_| hostile(addr)).collect();
    for mut stream in &streams {
        let _ = stream.write_all(format!("GET /api/v1/stream HTTP/1.1\r\n{TO_US}\r\n").as_bytes());
    }
    for letter in format!("GET / HTTP/1.1\r\n{TO_US}X: {}", "y".repeat(4_000)).bytes() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        for squatter in slow.iter_mut().chain(&mut silent) {
            let is_gone = squatter.write_all(&[letter]).is_err();
            if is_gone && let Some(again) = hostile(addr) {
                *squatter = again;
            }
        }
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_flood_of_packets_is_counted_whole_among_hundreds_of_hostile_clients() {
    if !has("tcpreplay", "no flood is sent") {
        return;
    }
    let Some(wire) = Wire::new() else { return };
    let filter = format!("not ether host {} and not ether host {}", wire.client.ethernet(0), wire.server.ethernet(0));
    let mut command = wire.client.command(env!("CARGO_BIN_EXE_portlabel"));
    command.args(["-i", "eth0", "-f", &filter, "-B", "16M", "-o", "json", "--interval", "200ms"]);
    let mut server = Server::start(command.args(["--listen", "127.0.0.1:9465"]));
    server.program.await_thread("capture");
    let before = descriptors(&server.program);

    let case = Case::named("office");
    let loops = 300;
    let sent = loops * records(&case.bytes()).packets();
    let is_over = AtomicBool::new(false);
    let visits = AtomicUsize::new(0);
    let addr = server.addr;
    let slowest = thread::scope(|scope| {
        for first in 0..4 {
            let (wire, is_over, visits) = (&wire, &is_over, &visits);
            scope.spawn(move || {
                wire.client.inside(|| {
                    for number in (first..).step_by(4) {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        visit(addr, number);
                        visits.fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
        }
        scope.spawn(|| wire.client.inside(|| squatters(addr, &is_over)));
        // a client that means no harm is served all the while
        let over = Over(&is_over);
        let patience = wire.client.inside(|| {
            let sender = wire.server.command("tcpreplay");
            let flood = scope.spawn(|| {
                let mut replay = sender;
                ran(replay
                    .args(["--quiet", "--preload-pcap", "--pps=8000", &format!("--loop={loops}"), "-i", "eth0"])
                    .arg(&case.capture))
            });
            let mut slowest = Duration::ZERO;
            while !flood.is_finished() {
                let begun = Instant::now();
                // all come from one address here: who is turned away tries again, as browsers do
                let request = format!("GET /metrics HTTP/1.1\r\n{TO_US}Connection: close\r\n\r\n");
                let answers = (0..3).map(|_| server.exchange(request.as_bytes()));
                let answer =
                    answers.into_iter().find(|answer| !answer.is_empty()).expect("an answer in three attempts");
                assert_eq!(Reply::of(&answer).status, 200);
                slowest = slowest.max(begun.elapsed());
                thread::park_timeout(Duration::from_millis(50));
            }
            let replayed = flood.join().expect("it does not panic");
            assert_eq!(replayed.code, Some(0), "{replayed:?}");
            slowest
        });
        drop(over);
        patience
    });
    assert!(visits.load(Ordering::Relaxed) > 500, "only {visits:?} visits");
    assert!(slowest < Duration::from_secs(20), "an answer took {slowest:?}");
    // they have gone, and left nothing
    until(&"every descriptor is closed", || (descriptors(&server.program) <= before).then_some(()));
    wire.client.inside(|| {
        assert_eq!(server.get("/").status, 200);
        let mut stream = Stream::open(server.connect(), "");
        assert!(stream.event().is_some() && stream.event().is_some());
    });
    let ended = server.program.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    let dropped = report.pointer("/drops/kernel");
    assert_eq!((report["packets"].as_u64(), dropped), (Some(sent), Some(&Value::from(0))), "{}", ended.stderr);
}

#[test]
fn whoever_comes_is_served_while_others_hold_every_connection() {
    let server = Server::of_capture(&[]);
    let before = descriptors(&server.program);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&is_over);
        for _ in 0..3 {
            scope.spawn(|| squatters(server.addr, &is_over));
        }
        until(&"they hold what there is", || (descriptors(&server.program) >= before + 120).then_some(()));
        for _ in 0..50 {
            assert_eq!(server.get("/").status, 200);
            assert!(descriptors(&server.program) <= before + 256);
        }
        drop(over);
    });
    until(&"every descriptor is closed", || (descriptors(&server.program) <= before).then_some(()));
}

#[test]
fn who_asks_and_never_finishes_or_takes_nothing_is_let_go() {
    let (reader, mut packets) = pipe().expect("a pipe");
    let mut command = portlabel();
    command.args(["-", "--listen", "127.0.0.1:0", "-o", "json"]).stdin(reader);
    let server = Server::start(&mut command);
    drop(command);
    packets.write_all(&Case::named("office").bytes()).expect("it reads");
    until(&"something is served", || (server.get("/api/v1/snapshot").status == 200).then_some(()));
    let before = descriptors(&server.program);
    let mut connections: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for stream in &mut connections[..5] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost:").expect("it reads");
    }
    // more than the buffers on the way hold, of which nothing is taken
    let requests = format!("GET /api/v1/snapshot HTTP/1.1\r\n{TO_US}\r\n").repeat(2_000);
    let deaf: Vec<_> = (0..10).map(|_| server.connect()).collect();
    thread::scope(|scope| {
        for mut stream in &deaf {
            let requests = &requests;
            // it is closed on the way
            scope.spawn(move || drop(stream.write_all(requests.as_bytes())));
        }
        until(&"they are connected", || (descriptors(&server.program) > before).then_some(()));
        until(&"they are let go", || (descriptors(&server.program) <= before).then_some(()));
    });
    assert_eq!(server.get("/").status, 200);
    drop(packets);
}

#[test]
fn quick_connections_leave_nothing() {
    let server = Server::of_capture(&[]);
    let before = descriptors(&server.program);
    for number in 0..2_000 {
        let stream = server.connect();
        if number % 2 == 0 {
            // a reset
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("it is a socket");
        }
    }
    for _ in 0..200 {
        Stream::open(server.connect(), "");
    }
    until(&"every descriptor is closed", || (descriptors(&server.program) <= before).then_some(()));
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_reader_that_never_reads_does_not_hold_up_the_page() {
    let Some(wire) = Wire::new() else { return };
    let (reader, mut writer) = pipe().expect("a pipe");
    let page = [b'\n'; 4096];
    rustix::pipe::fcntl_setpipe_size(&writer, page.len()).expect("a size");
    writer.write_all(&page).expect("it takes as much");
    let mut command = wire.client.command(env!("CARGO_BIN_EXE_portlabel"));
    command.args(["-i", "eth0", "--listen", "127.0.0.1:80", "-o", "ndjson", "--interval", "50ms"]);
    let server = Server::of(Running::start_into(&mut command, Stdio::from(writer)));
    wire.client.inside(|| {
        let mut stream = Stream::open(server.connect(), "");
        // more than the queues on the way hold
        let ids: Vec<_> = (0..100).filter_map(|_| stream.event()?.id).collect();
        assert!(ids.windows(2).all(|pair| pair[1] > pair[0]) && ids[99] >= 100, "{ids:?}");
    });
    drop(reader);
    assert_eq!(server.program.interrupt().code, Some(0));
}
