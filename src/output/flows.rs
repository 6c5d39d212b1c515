//! Flow records as JSON, `portlabel.flow/1`: one line for each flow, when it ends.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use super::Output;
use super::document::write_json;
use crate::snapshot::{FlowRecord, Snapshot, Traffic};
use crate::units::{Endpoint, Timestamp};

/// The JSON Schema of a flow record, as this version writes it.
pub const FLOW_JSON_SCHEMA: &str = include_str!("../../data/schema/flow.schema.json");

/// `-o flows`.
#[derive(Debug)]
pub(super) struct Flows<W> {
    out: W,
    line: Line,
    /// Bytes of records since they were written out.
    held_bytes: usize,
}

/// A record as a line of JSON: to the letter what [`write_json`] makes of it, in a third of the time. There is one for each
/// flow, which makes it part of the packet path.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    /// Of the first and of the last time of records.
    clocks: [Clock; 2],
}

/// The time that was written last: most times are within the same second, and differ in nanoseconds alone.
#[derive(Debug, Default)]
struct Clock {
    seconds: Option<i64>,
    /// Up to the point: `2026-01-31T10:00:00.`
    text: String,
}

/// Records are written out in pieces of about this size, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

impl<W: Write> Flows<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, line: Line::default(), held_bytes: 0 }
    }
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Clock {
    /// Adds a time as text, as [`Timestamp`] is displayed.
    fn write(&mut self, ts: Timestamp, line: &mut Vec<u8>) {
        let (seconds, nanos) = (ts.as_nanos().div_euclid(NANOS_PER_SECOND), ts.as_nanos().rem_euclid(NANOS_PER_SECOND));
        if self.seconds != Some(seconds) {
            self.seconds = Some(seconds);
            self.text = ts.to_string();
            let whole_len = self.text.rfind('.').map_or(self.text.len(), |point| point + 1);
            self.text.truncate(whole_len);
        }
        line.extend_from_slice(self.text.as_bytes());
        let mut digits = [b'0'; 9];
        let mut number = itoa::Buffer::new();
        let nanos = number.format(nanos).as_bytes();
        digits[9 - nanos.len()..].copy_from_slice(nanos);
        line.extend_from_slice(&digits);
        line.push(b'Z');
    }
}

impl Line {
    /// The line of a record, with its end.
    fn of(&mut self, record: &FlowRecord) -> io::Result<&[u8]> {
        let FlowRecord { schema, transport, client, server, service, port, evidence, .. } = record;
        let FlowRecord { first_ts, last_ts, to_server, from_server, later_fragments, .. } = record;
        let FlowRecord { tunnels, tcp_flags, handshake_rtt_us, end, .. } = record;
        let [first_clock, last_clock] = &mut self.clocks;
        let line = &mut self.bytes;
        line.clear();
        line.extend_from_slice(b"{\"schema\":\"");
        line.extend_from_slice(schema.as_bytes());
        line.extend_from_slice(b"\",\"transport\":\"");
        line.extend_from_slice(transport.name().as_bytes());
        line.extend_from_slice(b"\",\"client\":");
        write_endpoint(line, *client)?;
        line.extend_from_slice(b",\"server\":");
        write_endpoint(line, *server)?;
        line.extend_from_slice(b",\"service\":");
        match service {
            Some(name) if name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) => {
                line.push(b'"');
                line.extend_from_slice(name.as_bytes());
                line.push(b'"');
            }
            // users give names, with whatever characters
            service => write_json(&mut *line, service)?,
        }
        line.extend_from_slice(b",\"port\":");
        write_number(line, (*port).into());
        line.extend_from_slice(b",\"evidence\":\"");
        line.extend_from_slice(evidence.as_bytes());
        line.extend_from_slice(b"\",\"first_ts\":\"");
        first_clock.write(*first_ts, line);
        line.extend_from_slice(b"\",\"last_ts\":\"");
        last_clock.write(*last_ts, line);
        line.extend_from_slice(b"\",\"to_server\":");
        write_traffic(line, *to_server);
        line.extend_from_slice(b",\"from_server\":");
        write_traffic(line, *from_server);
        line.extend_from_slice(b",\"later_fragments\":");
        write_traffic(line, *later_fragments);
        line.extend_from_slice(b",\"tunnels\":");
        write_number(line, (*tunnels).into());
        line.extend_from_slice(b",\"tcp_flags\":");
        match tcp_flags {
            Some(flags) => {
                line.push(b'"');
                line.extend(flags.letters().map(|letter| letter as u8));
                line.push(b'"');
            }
            None => line.extend_from_slice(b"null"),
        }
        line.extend_from_slice(b",\"handshake_rtt_us\":");
        match handshake_rtt_us {
            Some(micros) => write_number(line, *micros),
            None => line.extend_from_slice(b"null"),
        }
        line.extend_from_slice(b",\"end\":\"");
        line.extend_from_slice(end.name().as_bytes());
        line.extend_from_slice(b"\"}\n");
        Ok(line)
    }
}

fn write_number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_traffic(line: &mut Vec<u8>, Traffic { packets, wire_bytes }: Traffic) {
    line.extend_from_slice(b"{\"packets\":");
    write_number(line, packets);
    line.extend_from_slice(b",\"wire_bytes\":");
    write_number(line, wire_bytes);
    line.push(b'}');
}

fn write_endpoint(line: &mut Vec<u8>, Endpoint { addr, port }: Endpoint) -> io::Result<()> {
    line.extend_from_slice(b"{\"addr\":\"");
    match addr {
        IpAddr::V4(addr) => {
            for (at, octet) in addr.octets().into_iter().enumerate() {
                if at > 0 {
                    line.push(b'.');
                }
                write_number(line, octet.into());
            }
        }
        IpAddr::V6(addr) => write!(line, "{addr}")?,
    }
    line.extend_from_slice(b"\",\"port\":");
    write_number(line, port.into());
    line.push(b'}');
    Ok(())
}

impl<W: Write> Output for Flows<W> {
    /// Writes nothing of the snapshot; what was held back goes out with it.
    fn snapshot(&mut self, _snapshot: &Arc<Snapshot>) -> io::Result<()> {
        self.out.flush()
    }

    fn flow(&mut self, record: &FlowRecord) -> io::Result<()> {
        let line = self.line.of(record)?;
        self.out.write_all(line)?;
        self.held_bytes += line.len();
        if self.held_bytes < PIECE_BYTES {
            return Ok(());
        }
        self.held_bytes = 0;
        self.out.flush()
    }

    fn retry(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample;
    use super::*;
    use crate::snapshot::{FLOW_SCHEMA, FlowEnd, TcpFlags};
    use crate::units::Transport;

    fn any_endpoint() -> impl Strategy<Value = Endpoint> {
        any::<(IpAddr, u16)>().prop_map(|(addr, port)| Endpoint { addr, port })
    }

    fn any_traffic() -> impl Strategy<Value = Traffic> {
        any::<(u64, u64)>().prop_map(|(packets, wire_bytes)| Traffic { packets, wire_bytes })
    }

    /// Within a second of each other and far apart, before and after 1970.
    fn any_nanos() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -2_000_000_000..2_000_000_000_i64]
    }

    prop_compose! {
        fn any_record()(
            transport in prop::sample::select(&Transport::ALL[..]),
            [client, server] in [any_endpoint(), any_endpoint()],
            service in any::<Option<String>>(),
            port: u16,
            [first_ts, last_ts] in [any_nanos(), any_nanos()],
            [to_server, from_server, later_fragments] in [any_traffic(), any_traffic(), any_traffic()],
            (tunnels, tcp_flags, handshake_rtt_us) in any::<(u8, Option<u8>, Option<u64>)>(),
            end in prop::sample::select(vec![FlowEnd::Closed, FlowEnd::Reset, FlowEnd::Idle, FlowEnd::Active, FlowEnd::Reopened, FlowEnd::Evicted, FlowEnd::Final]),
        ) -> FlowRecord {
            FlowRecord {
                schema: FLOW_SCHEMA, transport, client, server, service: service.map(Arc::from), port, evidence: "handshake",
                first_ts: Timestamp::from_nanos(first_ts), last_ts: Timestamp::from_nanos(last_ts), to_server, from_server,
                later_fragments, tunnels, tcp_flags: tcp_flags.map(TcpFlags), handshake_rtt_us, end,
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_any_document(records in prop::collection::vec(any_record(), 1..8)) {
            let mut line = Line::default();
            for record in &records {
                let made = String::from_utf8(line.of(record).expect("memory takes everything").to_vec());
                let mut want = Vec::new();
                write_json(&mut want, record).expect("memory takes everything");
                prop_assert_eq!(made.expect("JSON is UTF-8"), String::from_utf8(want).expect("JSON is UTF-8") + "\n");
            }
        }
    }

    fn text() -> String {
        let mut text = Vec::new();
        let mut output = Flows::new(&mut text);
        for record in &sample::flows() {
            output.flow(record).expect("memory takes everything");
        }
        output.snapshot(&Arc::new(sample::snapshot())).expect("memory takes everything");
        output.finish().expect("memory takes everything");
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    #[test]
    fn each_flow_is_a_line() {
        let want = concat!(
            r#"{"schema":"portlabel.flow/1","transport":"tcp","client":{"addr":"10.0.0.5","port":51812},"server":{"addr":"10.0.0.9","port":443},"#,
            r#""service":"https","port":443,"evidence":"handshake","first_ts":"2026-01-31T10:00:00.000000001Z","last_ts":"2026-01-31T10:00:05.000000000Z","#,
            r#""to_server":{"packets":5,"wire_bytes":900},"from_server":{"packets":5,"wire_bytes":2400},"later_fragments":{"packets":0,"wire_bytes":0},"#,
            r#""tunnels":0,"tcp_flags":"SAPF","handshake_rtt_us":180,"end":"closed"}"#,
            "\n",
            r#"{"schema":"portlabel.flow/1","transport":"udp","client":{"addr":"2001:db8::5","port":60001},"server":{"addr":"2001:db8::9","port":50123},"#,
            r#""service":null,"port":50123,"evidence":"none","first_ts":"2026-01-31T10:00:00.000000000Z","last_ts":"2026-01-31T10:00:00.000000000Z","#,
            r#""to_server":{"packets":1,"wire_bytes":1300},"from_server":{"packets":0,"wire_bytes":0},"later_fragments":{"packets":1,"wire_bytes":300},"#,
            r#""tunnels":1,"tcp_flags":null,"handshake_rtt_us":null,"end":"final"}"#,
            "\n",
        );
        assert_eq!(text(), want);
    }

    #[test]
    fn flows_follow_the_schema() {
        let schema = serde_json::from_str(FLOW_JSON_SCHEMA).expect("the schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
        for line in text().lines() {
            let mut record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let faults: Vec<_> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
            assert_eq!(faults, [""; 0], "{line}");
            record["tcp_flags"] = "AS".into();
            assert!(!validator.is_valid(&record), "flags have an order");
        }
    }
}
