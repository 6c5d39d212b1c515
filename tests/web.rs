//! The server of `--listen`, over real sockets.
//!
//! Requests are written byte by byte, as no client library would send most of them.

// Clients that want to do harm, while packets are counted.
mod hostile;
// Options, messages, exit codes, and when the page ends.
mod options;
// What a server can still do that has given up its rights.
mod rights;
// Which requests are answered, and how.
mod rules;
// Snapshots as they come.
mod streams;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use serde_json::Value;

use crate::cases::Case;
use crate::program::{PATIENCE, document, portlabel};
use crate::running::Running;

/// What every good request has.
const TO_US: &str = "Host: localhost\r\n";

/// A program that serves, and where.
struct Server {
    program: Running,
    addr: SocketAddr,
}

impl Server {
    /// Starts a command whose `--listen` is at an address that has no name.
    #[track_caller]
    fn start(command: &mut Command) -> Self {
        Self::of(Running::start(command))
    }

    #[track_caller]
    fn of(mut program: Running) -> Self {
        let addr = program.await_state("says where it listens", |program| {
            let said = program.stderr();
            let line = said.split_inclusive('\n').find_map(|line| line.strip_prefix("portlabel: listening on http://"));
            line?.strip_suffix("/\n")?.parse().ok()
        });
        Self { program, addr }
    }

    /// Serves a small capture that was read to its end, with more arguments.
    #[track_caller]
    fn of_capture(args: &[&str]) -> Self {
        let case = Case::named("office");
        let mut command = portlabel();
        command.args(["--listen", "127.0.0.1:0", "-o", "json"]).arg(case.capture).args(args);
        let mut server = Self::start(&mut command);
        server.program.await_state("has read it", |program| program.stdout().ends_with("\n}\n").then_some(()));
        server
    }

    /// A connection.
    fn connect(&self) -> TcpStream {
        connect(self.addr)
    }

    /// What comes back for bytes, until the server closes the connection.
    fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // it may have seen enough before the end
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        // and closes then, whatever is still to be read
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// The answer to one request with headers, whose lines end in CR and LF.
    #[track_caller]
    fn ask(&self, method: &str, target: &str, headers: &str) -> Reply {
        let request = format!("{method} {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        Reply::of(&self.exchange(request.as_bytes()))
    }

    /// The answer to a good request.
    #[track_caller]
    fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, TO_US)
    }
}

/// A connection that fails rather than wait for ever.
fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("it is not zero");
    stream
}

/// A whole answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Names in small letters.
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    #[track_caller]
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            status: status.unwrap_or_else(|| panic!("no status: {text:?}")),
            headers: lines.map(|line| header(line).unwrap_or_else(|| panic!("no header: {line:?}"))).collect(),
            body: body.to_owned(),
        }
    }

    /// The status of an answer that may have nothing else.
    fn status_of(bytes: &[u8]) -> Option<u16> {
        let text = String::from_utf8_lossy(bytes);
        text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok()
    }

    fn all<'r>(&'r self, name: &str) -> Vec<&'r str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only header of a name.
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {self:?}");
        all[0]
    }
}

/// An open stream.
struct Stream(BufReader<TcpStream>);

/// An event of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: String,
}

impl Event {
    /// The snapshot that it brings.
    #[track_caller]
    fn snapshot(&self) -> Value {
        assert_eq!(self.name, "snapshot", "{self:?}");
        let snapshot = document(&self.data);
        assert_eq!(snapshot["sequence"].as_u64(), self.id);
        snapshot
    }
}

impl Stream {
    /// Opens a stream, and reads up to the first event.
    #[track_caller]
    fn open(mut connection: TcpStream, headers: &str) -> Self {
        // of an older version of HTTP, whose bodies have no lengths in between
        write!(connection, "GET /api/v1/stream HTTP/1.0\r\n{TO_US}{headers}\r\n").expect("it reads");
        let mut stream = Self(BufReader::new(connection));
        let head: Vec<_> = std::iter::from_fn(|| stream.line().filter(|line| !line.is_empty())).collect();
        assert!(head[0].starts_with("HTTP/1.0 200 ") || head[0].starts_with("HTTP/1.1 200 "), "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        let first = [stream.line(), stream.line()];
        assert_eq!(first, [Some("retry: 2000".to_owned()), Some(String::new())]);
        stream
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => panic!("the stream broke: {error}"),
        }
    }

    /// The next event; `None` at the end.
    fn event(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: None, data: String::new() };
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => event.id = id.parse().ok(),
                Some(("data", data)) => data.clone_into(&mut event.data),
                _ if line.is_empty() && !event.name.is_empty() => return Some(event),
                _ => assert!(line.is_empty() || line.starts_with(':'), "{line:?}"),
            }
        }
    }
}

/// How many descriptors a process has open.
fn descriptors(program: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", program.id())).expect("it runs").count()
}
