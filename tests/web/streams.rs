//! Snapshots as they come.

use std::io::{PipeWriter, Write as _, pipe};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, socket};

use super::{Event, Server, Stream, TO_US};
use crate::program::{PATIENCE, portlabel};
use crate::records::{pcap_header, pcap_record};
use crate::running::until;

/// A second of packet time.
const SECOND: u64 = 1_000_000_000;

/// A run that reads what the test writes, a packet a second.
struct Fed {
    server: Server,
    packets: PipeWriter,
    sent: u64,
}

impl Fed {
    fn start() -> Self {
        let (reader, mut packets) = pipe().expect("a pipe");
        let mut command = portlabel();
        command.args(["-", "--listen", "127.0.0.1:0", "-o", "ndjson"]).stdin(reader);
        let server = Server::start(&mut command);
        // the test's end of the pipe is not the program's
        drop(command);
        packets.write_all(&pcap_header()).expect("it reads");
        Self { server, packets, sent: 0 }
    }

    /// A packet, a second after the one before.
    fn send(&mut self) {
        self.sent += 1;
        self.packets.write_all(&pcap_record(self.sent * SECOND, &[0; 60])).expect("it reads");
    }

    /// Waits until a snapshot of so many packets is served.
    fn await_packets(&self, packets: u64) {
        until(&format!("{packets} packets are served"), || {
            let reply = self.server.get("/api/v1/snapshot");
            let is_it = reply.status == 200 && reply.body.contains(&format!("\"packets\":{packets},"));
            is_it.then_some(())
        });
    }

    fn stream(&self, headers: &str) -> Stream {
        Stream::open(self.server.connect(), headers)
    }
}

#[test]
fn each_interval_is_an_event_until_the_end() {
    let mut fed = Fed::start();
    let nothing = fed.server.get("/api/v1/snapshot");
    assert_eq!((nothing.status, nothing.header("retry-after")), (503, "1"), "{nothing:?}");
    assert!(fed.server.get("/metrics").body.contains("\nportlabel_build_info{version="), "before the first snapshot");
    let mut early = fed.stream("");
    fed.send();
    fed.send();
    let first = early.event().expect("an interval is over");
    assert_eq!((first.snapshot()["packets"].as_u64(), first.id), (Some(1), Some(1)));

    // whoever comes later, or again, has the latest at once
    for headers in ["", "Last-Event-ID: 1\r\n", "Last-Event-ID: 99\r\n", "Last-Event-ID: x\r\n"] {
        let mut late = fed.stream(headers);
        assert_eq!(late.event().as_ref(), Some(&first), "{headers:?}");
    }
    let mut late = fed.stream("");
    late.event().expect("the latest");
    fed.send();
    for stream in [&mut early, &mut late] {
        let second = stream.event().expect("another interval is over");
        assert_eq!((second.snapshot()["packets"].as_u64(), second.id), (Some(2), Some(2)));
    }
    let Fed { server, packets, .. } = fed;
    drop(packets);
    for stream in [&mut early, &mut late] {
        let events: Vec<_> = std::iter::from_fn(|| stream.event()).collect();
        let [snapshots @ .., end] = &events[..] else { panic!("no end") };
        let last = snapshots.last().expect("the final snapshot").snapshot();
        assert_eq!((last["packets"].as_u64(), last["final"].as_bool()), (Some(3), Some(true)));
        assert_eq!(*end, Event { name: "end".to_owned(), id: None, data: "{}".to_owned() });
    }
    // and after the end
    let mut after = Stream::open(server.connect(), "");
    let events: Vec<_> = std::iter::from_fn(|| after.event()).map(|event| event.name).collect();
    assert_eq!(events, ["snapshot", "end"]);
    assert_eq!(server.program.interrupt().code, Some(0));
}

#[test]
fn a_slow_client_misses_snapshots_and_no_count() {
    let mut fed = Fed::start();
    fed.send();
    fed.send();
    fed.await_packets(1);
    let mut slow = fed.stream("");
    // it takes nothing while more comes than the buffers on the way hold
    for _ in 0..3_000 {
        fed.send();
    }
    fed.await_packets(3_001);
    let mut sequence = 0;
    let mut seen = 0;
    while sequence < 3_001 {
        let event = slow.event().expect("it goes on");
        let id = event.id.expect("it is a snapshot");
        assert!(id > sequence, "{id} after {sequence}");
        (sequence, seen) = (id, seen + 1);
    }
    assert!(seen < 3_001, "it has missed none: the buffers are larger than this test thinks");
    assert_eq!(fed.server.program.interrupt().code, Some(3), "its input has not ended");
}

#[test]
fn one_client_has_so_many_streams_and_no_more() {
    let fed = Fed::start();
    let mut streams: Vec<_> = (0..32).map(|_| fed.stream("")).collect();
    let refused = fed.server.get("/api/v1/stream");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "{refused:?}");
    assert_eq!(fed.server.get("/").status, 200);
    // another client
    streams.push(Stream::open(connect_from(Ipv4Addr::new(127, 0, 0, 2), fed.server.addr), ""));
    streams.remove(0);
    until(&"the place is free", || (fed.server.ask("HEAD", "/api/v1/stream", TO_US).status == 200).then_some(()));
}

/// A connection from an address of this host.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::from((from, 0))).expect("all of 127.0.0.0/8 is this host");
    rustix::net::connect(&socket, &to).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    stream
}

#[test]
fn the_end_waits_for_nobody() {
    let mut fed = Fed::start();
    fed.send();
    fed.send();
    fed.await_packets(1);
    let mut reading = fed.stream("");
    reading.event().expect("the latest");
    // clients that read nothing, say nothing, or not enough
    let mut idle: Vec<_> = (0..20).map(|_| fed.stream("").0.into_inner()).collect();
    idle.extend((0..20).map(|_| fed.server.connect()));
    for _ in 0..20 {
        let mut stream = fed.server.connect();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").expect("it reads");
        idle.push(stream);
    }
    let begun = Instant::now();
    let ended = fed.server.program.interrupt();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(ended.code, Some(3), "its input has not ended: {ended:?}");
    let mut events: Vec<_> = std::iter::from_fn(|| reading.event()).map(|event| event.name).collect();
    // that it was interrupted comes in time for the last snapshot or not
    events.retain(|name| name != "told");
    assert_eq!(events, ["snapshot", "end"]);
}
