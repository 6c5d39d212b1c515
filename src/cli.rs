//! The command line: what was typed becomes a [`Command`], and nothing after it sees a flag.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::decode::{Handshake, Segment};
use crate::engine::EngineConfig;
use crate::flow::Limits;
use crate::output::{self, Destination, Format, Listen, ListenAddr, Spec, printable};
use crate::services::catalog::Query;
use crate::units::{AddressWords, IpVersion, Transport};

/// What the program is to do.
#[derive(Debug)]
pub enum Command {
    /// Label captures, or what passes interfaces.
    Label(Box<Config>),
    /// List the interfaces of this host.
    ListInterfaces,
    /// Tell what is known of ports and names.
    Lookup(Lookup),
    /// Tell why a flow gets its name.
    Explain(Explain),
    /// Make one report out of several.
    Merge(Merge),
    /// Tell what differs between two reports.
    Diff(Diff),
    /// Print the JSON Schema of a document.
    Schema(Document),
}

/// Which reports are to be added up, and what is made of them.
#[derive(Debug)]
pub struct Merge {
    /// Files, at least one; `-` is standard input.
    pub reports: Vec<PathBuf>,
    /// Where the result goes; at least one, no two to the same place.
    pub outputs: Vec<Spec>,
    /// How outputs look.
    pub settings: output::Settings,
    /// Leave out remarks.
    pub quiet: bool,
}

/// Which reports are to be compared.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is one")]
pub struct Diff {
    /// The earlier one; `-` is standard input.
    pub before: PathBuf,
    /// The later one.
    pub after: PathBuf,
    /// Totals are compared, whatever the time spans.
    pub totals: bool,
    /// It is a failure when the bytes of a service change by more percent than that.
    pub fail_over_percent: Option<f64>,
    /// As JSON.
    pub json: bool,
    /// With colours.
    pub color: bool,
    /// Columns of the terminal; `None` is as wide as it takes.
    pub width: Option<usize>,
    /// Leave out remarks.
    pub quiet: bool,
}

/// A kind of document that the program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A report: -o json, and each line of -o ndjson
    Snapshot,
    /// Each line of -o flows
    Flow,
    /// portlabel lookup --json
    Lookup,
    /// portlabel explain --json
    Explain,
    /// portlabel diff --json
    Diff,
}

/// Where names come from, beside those that are built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Files in the syntax of /etc/services; what a later one says counts.
    pub services: Vec<PathBuf>,
    /// IANA's names before those in use.
    pub iana_names: bool,
    /// Leave out remarks on the files.
    pub quiet: bool,
}

/// How a question is answered.
#[derive(Debug)]
pub struct Answer {
    /// As JSON.
    pub json: bool,
    /// Where names come from.
    pub naming: Naming,
    /// With colours.
    pub color: bool,
    /// Columns of the terminal; `None` is as wide as it takes.
    pub width: Option<usize>,
}

/// What is to be looked up.
#[derive(Debug)]
pub struct Lookup {
    /// What is asked; at least one.
    pub queries: Vec<Query>,
    /// Where names come from, and how it is shown.
    pub answer: Answer,
}

/// Which flow is to be explained.
#[derive(Debug)]
pub struct Explain {
    /// Its first packet.
    pub segment: Segment,
    /// Where names come from, and how it is shown.
    pub answer: Answer,
}

/// Where packets come from.
#[derive(Debug)]
pub enum Input {
    /// Files, folders, `-`; at least one.
    Captures(Vec<PathBuf>),
    /// Interfaces.
    Live(LiveInput),
}

/// Interfaces, and how they are captured from.
#[derive(Debug)]
pub struct LiveInput {
    /// Their names; at least one, no two the same.
    pub interfaces: Vec<String>,
    /// Bytes taken of each packet.
    pub snap_len: u32,
    /// Size of the kernel's ring of each socket, in bytes.
    pub buffer_bytes: u32,
    /// Take packets for other hosts too.
    pub promiscuous: bool,
    /// Sockets, and threads, that share each interface.
    pub fanout: usize,
}

/// What a run is to do, ready to be done.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Config {
    /// Where packets come from.
    pub input: Input,
    /// BPF expression.
    pub filter: Option<String>,
    /// Stop after so many packets, at least 1.
    pub count: Option<u64>,
    /// Stop at the first packet that is later than this after the first one; live, after this much time.
    pub duration: Option<Duration>,
    /// Where the packets read are saved.
    pub save: Option<PathBuf>,
    /// No saved file is longer than this, in bytes: the next one follows.
    pub rotate_bytes: Option<u64>,
    /// Where results go; at least one, no two to the same place.
    pub outputs: Vec<Spec>,
    /// Where the page is served, and to whom.
    pub listen: Option<Listen>,
    /// Where names come from.
    pub naming: Naming,
    /// How the table looks.
    pub table: output::Options,
    /// How many services have metrics of their own.
    pub metrics_services: usize,
    /// Intervals are taken for pictures alone: nobody asked for them.
    pub intervals_for_pictures: bool,
    /// Who the run is to be, without any other right, once everything is open.
    pub user: Option<String>,
    /// What the engine does.
    pub engine: EngineConfig,
    /// Show how far reading has come.
    pub progress: bool,
    /// Leave out remarks.
    pub quiet: bool,
    /// Say more.
    pub verbose: bool,
}

/// Which services are on this wire, or in a capture, and how do they behave?
///
/// Watches interfaces, or reads captures (pcap, pcapng, snoop; plain, gzip, zstd or lz4), names each flow by its server's
/// port, and reports packets, bytes, flows, packet sizes and round trips of every service. Every packet read is counted
/// once.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = false, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is one")]
struct Args {
    #[command(subcommand)]
    subcommand: Option<SubcommandArgs>,

    /// Capture files; a folder means the captures directly in it, '-' is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// As FILE; files that overlap in time are merged by packet time
    #[arg(short, long, value_name = "FILE", action = ArgAction::Append)]
    read: Vec<PathBuf>,

    /// Watch an interface; repeatable, and 'any' is all of them
    #[arg(short, long, value_name = "NAME", action = ArgAction::Append)]
    interface: Vec<String>,

    /// List the interfaces of this host, with their addresses and state
    #[arg(short = 'D', long, exclusive = true)]
    list_interfaces: bool,

    /// Take only packets that match a BPF expression (see pcap-filter(7)), such as 'tcp port 443'
    #[arg(short, long, value_name = "EXPR")]
    filter: Option<String>,

    /// Read the expression from a file
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "filter")]
    filter_file: Option<PathBuf>,

    /// Stop after N packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Stop after so much packet time (live: time), such as 90s or 5m
    #[arg(short = 'a', long, value_name = "DUR", value_parser = duration)]
    duration: Option<Duration>,

    /// Live: take so many bytes of each packet [default: 512, or 262144 with -w]
    #[arg(short, long, value_name = "BYTES", requires = "interface", value_parser = snap_len)]
    snaplen: Option<u32>,

    /// Live: size of the kernel's buffer for each interface, such as 64M; a number alone is KiB, as in tcpdump
    #[arg(short = 'B', long, value_name = "SIZE", requires = "interface", default_value = "64M", value_parser = buffer_size)]
    buffer_size: u32,

    /// Live: take only packets from and to this host
    #[arg(short = 'p', long, requires = "interface")]
    no_promiscuous: bool,

    /// Live: share each interface between N threads, both directions of a flow on the same one
    #[arg(long, value_name = "N", requires = "interface", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    fanout: u8,

    /// Save the packets read to a file, as pcapng
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Begin another file when the saved one would be longer than SIZE, such as 100M: FILE, then FILE with 1, 2 and so
    /// on before its extension
    #[arg(long, value_name = "SIZE", requires = "write", value_parser = file_size)]
    rotate: Option<u64>,

    /// What to print, and where: FORMAT[=PATH] with table, json, ndjson, csv, prometheus, flows, html or tui; repeatable
    /// [default: table; live on a terminal tui]
    ///
    /// PATH '-' is standard output, and so is none. 'table', 'json' and 'html' (a page for browsers, with charts) are written
    /// at the end, and replace the file.
    /// 'ndjson' and 'csv' take a snapshot each interval, 'flows' a line for each flow when it ends; they add to the file.
    /// 'prometheus' are metrics in Prometheus' text format, whose file is replaced each interval.
    /// 'tui' is a screen on the terminal, which leaves the table behind; '?' shows its keys.
    #[arg(short, long, value_name = "FORMAT[=PATH]", action = ArgAction::Append)]
    output: Vec<Spec>,

    /// A snapshot each DUR of packet time, for ndjson, csv, prometheus, html, tui and the page [default: live and all
    /// three 1s]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    interval: Option<Duration>,

    /// Give at most N services metrics of their own; the others are together in service="other"
    #[arg(long, value_name = "N", default_value_t = output::DEFAULT_METRICS_SERVICES)]
    metrics_services: u32,

    #[command(flatten)]
    listening: ListenArgs,

    #[command(flatten)]
    naming: NamingArgs,

    /// Print port numbers instead of names, in the table and on the screen
    #[arg(short, long)]
    numeric: bool,

    /// Label the carrier of a tunnel, if it has ports, instead of what is inside
    #[arg(long)]
    outer: bool,

    /// Do not read which sockets listen on this host; only live captures do
    #[arg(long)]
    no_listeners: bool,

    /// Become this user, and give up every right that reading and the outputs do not need, once everything is open
    ///
    /// No capabilities, no files but the captures and those in the folders of outputs, no new sockets or connections, no other
    /// programs. Captures are opened as that user. 'root' gives nothing up. Without this, root becomes 'nobody' where there is
    /// --listen.
    #[arg(short = 'Z', long, value_name = "NAME")]
    user: Option<String>,

    /// End a flow that is silent for DUR; 0 never does [default: 5m for TCP, 2m for the others]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    idle_timeout: Option<Duration>,

    /// Report a flow that goes on each DUR [default: only when it ends]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    active_timeout: Option<Duration>,

    /// Keep at most N flows at a time; the one not seen for longest makes room
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_flows: u32,

    /// Put whole histograms and all ports into JSON, so that reports can be added up (portlabel merge)
    #[arg(long)]
    histograms: bool,

    /// Show only the first N services, in the table and on the screen
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,

    /// Order of the services in the table and on the screen
    #[arg(long, value_name = "KEY", default_value = "bytes",
          value_parser = PossibleValuesParser::new(output::SortKey::ALL.map(output::SortKey::name)))]
    sort: String,

    /// No progress bar
    #[arg(long)]
    no_progress: bool,

    /// Colours in the table and on the screen
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    color: ColorWhen,

    /// No progress bar, and no word about files that are skipped
    #[arg(short, long)]
    quiet: bool,

    /// Say more: what --user gave up
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
}

/// Options of the page.
#[derive(Debug, clap::Args)]
struct ListenArgs {
    /// Serve a web page of what is counted, metrics for Prometheus at /metrics, and JSON at /api/v1/, at ADDR, such as
    /// 127.0.0.1:9465; port 0 is any that is free
    ///
    /// ':9465' is every address of this host. Started as root, the run becomes the user 'nobody' (see --user). The page of a
    /// capture stays until Ctrl-C.
    #[arg(long, value_name = "ADDR")]
    listen: Option<ListenAddr>,

    /// Answer only clients that send the token in FILE: as a bearer token, or as the password of any user
    #[arg(long, value_name = "FILE", requires = "listen", conflicts_with = "listen_open")]
    listen_token: Option<PathBuf>,

    /// Answer requests for the server NAME too, beside localhost and the addresses of this host; repeatable
    #[arg(long, value_name = "NAME", requires = "listen", action = ArgAction::Append, value_parser = host_name)]
    listen_host: Vec<String>,

    /// Answer every client that can connect, from other hosts too, without a token
    #[arg(long, requires = "listen")]
    listen_open: bool,
}

/// Options of every command that names ports.
#[derive(Debug, clap::Args)]
struct NamingArgs {
    /// Names of your own, in the syntax of /etc/services; repeatable, what comes later wins
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    services: Vec<PathBuf>,

    /// IANA's names instead of those in use where they differ
    #[arg(long)]
    iana_names: bool,
}

/// Options of every command that answers a question.
#[derive(Debug, clap::Args)]
struct AnswerArgs {
    /// As JSON: one document
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    naming: NamingArgs,

    /// Colours in the table
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    color: ColorWhen,

    /// No word about lines of FILE that are left out
    #[arg(short, long)]
    quiet: bool,
}

/// Commands beside the main one. Each has its own options; a capture of that name is reached as ./NAME.
#[derive(Debug, Subcommand)]
enum SubcommandArgs {
    /// Tell what is known of ports and service names
    ///
    /// Names come from four layers: your own files (user), names in use (overlay), the port registry of IANA (iana), and
    /// the list that the project started from (list).
    Lookup(LookupArgs),
    /// Tell which name a flow would get, and what each rule says
    ///
    /// Shows every rule in the order in which they are tried, what it says of a flow whose first packet goes from A to B,
    /// and which one decides.
    Explain(ExplainArgs),
    /// Make one report out of several
    ///
    /// Adds up reports that were made with --histograms, of parts of the traffic or of several hosts. Percentiles are those
    /// that one run would have told. Reports that cannot be added up, because they were made with other settings or filters,
    /// are an error.
    Merge(MergeArgs),
    /// Tell what came, went and moved between two reports
    ///
    /// Compares what came a second, on average from the first packet to the last; or in all, where one of the reports has no
    /// time span. Percentiles are shown that moved by more than 5 % and have at least 50 values beyond them in both reports.
    Diff(DiffArgs),
    /// Print the JSON Schema of what the program writes
    Schema(SchemaArgs),
}

#[derive(Debug, clap::Args)]
#[command(max_term_width = 100, after_help = DIFF_EXAMPLES)]
struct DiffArgs {
    /// The earlier report: JSON, or NDJSON, of which the last line counts; '-' is standard input
    #[arg(value_name = "BEFORE")]
    before: PathBuf,

    /// The later report
    #[arg(value_name = "AFTER")]
    after: PathBuf,

    /// Compare what came in all, however long it took
    #[arg(long)]
    totals: bool,

    /// Exit code 1 if the bytes of a service changed by more than that; what is new always has, what is gone by 100
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_over: Option<f64>,

    /// As JSON: one document
    #[arg(long)]
    json: bool,

    /// Colours in the table
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    color: ColorWhen,

    /// No remarks
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(max_term_width = 100, after_help = MERGE_EXAMPLES)]
struct MergeArgs {
    /// Reports: JSON, or NDJSON, of which the last line counts; '-' is standard input
    #[arg(value_name = "REPORT", required = true)]
    reports: Vec<PathBuf>,

    /// What to print, and where: FORMAT[=PATH] with any format that needs no packets; repeatable [default: json]
    #[arg(short, long, value_name = "FORMAT[=PATH]", action = ArgAction::Append)]
    output: Vec<Spec>,

    /// Colours in the table
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    color: ColorWhen,

    /// No remarks
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(max_term_width = 100, after_help = SCHEMA_EXAMPLES)]
struct SchemaArgs {
    /// Which document
    #[arg(value_name = "DOCUMENT", value_enum)]
    document: Document,
}

#[derive(Debug, clap::Args)]
#[command(max_term_width = 100, after_help = LOOKUP_EXAMPLES)]
struct LookupArgs {
    /// A port, a range, a name, a part of one, or words; '/tcp' behind it asks for that transport only
    #[arg(value_name = "QUERY", required = true)]
    queries: Vec<Query>,

    #[command(flatten)]
    answer: AnswerArgs,
}

#[derive(Debug, clap::Args)]
#[command(max_term_width = 100, after_help = EXPLAIN_EXAMPLES)]
struct ExplainArgs {
    /// Transport protocol
    #[arg(value_name = "TRANSPORT", ignore_case = true, value_parser = PossibleValuesParser::new(Transport::ALL.map(Transport::name)))]
    transport: String,

    /// Who sends the first packet: address and port, such as 10.0.0.5:51812 or [2001:db8::5]:51812
    #[arg(value_name = "A:PORT", value_parser = endpoint)]
    src: SocketAddr,

    /// Who receives it
    #[arg(value_name = "B:PORT", value_parser = endpoint)]
    dst: SocketAddr,

    /// The packet opens the connection: a SYN of TCP, an INIT of SCTP, a Request of DCCP
    #[arg(long)]
    syn: bool,

    #[command(flatten)]
    answer: AnswerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// The most that libpcap takes of a packet, in bytes (`MAXIMUM_SNAPLEN`).
const LONGEST_SNAP_LEN: u32 = 262_144;
/// Enough for headers through several tunnels, in bytes.
const DEFAULT_SNAP_LEN: u32 = 512;
/// How often a live run takes a snapshot, and a screen gets one, unless `--interval` says otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  portlabel -i eth0                           watch an interface
  portlabel day.pcapng                        the services of a capture
  portlabel -f 'net 10.0.0.0/8' /captures     of all captures in a folder, filtered
  zcat day.pcap.gz | portlabel - -o json      from a pipe, as JSON
  portlabel day.pcapng -o csv=day.csv --interval 1m -o table
  portlabel lookup 443 ssh                    what is known of ports and names
  portlabel merge a.json b.json -o table      one report out of several

Exit codes: 0 done, 1 failed, nothing could be read or no interface is left, 2 wrong usage,
            3 done, but an input was damaged, unreadable among others that were, or not read to its end.";

const NO_INPUT: &str = "\
nothing to read: name an interface to watch, a capture file, a folder of captures, or '-' for standard input

  portlabel -i eth0               what passes an interface (portlabel -D lists them)
  portlabel day.pcapng            what is in a capture
  zcat day.pcap.gz | portlabel -";

const LOOKUP_EXAMPLES: &str = "\
Examples:
  portlabel lookup 443                  a port, on every transport
  portlabel lookup 22/tcp 6000-6010     one transport; a range
  portlabel lookup ssh                  a name, and names with it inside
  portlabel lookup 'dns over tls'       words of a description
  portlabel lookup kerberos --json

Exit codes: 0 something is known, 1 nothing is, 2 wrong usage.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  portlabel explain tcp 10.0.0.5:51812 10.0.0.9:5601          a packet in the middle of a connection
  portlabel explain tcp 10.0.0.5:51812 10.0.0.9:5601 --syn    the packet that opens it
  portlabel explain udp '[fe80::1]:546' '[ff02::1:2]:547' --json

Exit codes: 0 done, 2 wrong usage.";

const MERGE_EXAMPLES: &str = "\
Examples:
  portlabel a.pcap --histograms -o json=a.json    a report that can be added up
  portlabel merge a.json b.json                   one report out of two, as JSON
  portlabel merge hosts/*.json -o table -o csv=all.csv
  ssh host cat day.ndjson | portlabel merge - here.json

Exit codes: 0 done, 1 a report cannot be read or added up (nothing is written then), 2 wrong usage.";

const DIFF_EXAMPLES: &str = "\
Examples:
  portlabel diff monday.json tuesday.json
  portlabel diff before.json after.json --fail-over 20 && echo 'nothing moved by more than 20 %'
  portlabel diff before.ndjson after.ndjson --json

Exit codes: 0 done, 1 a report cannot be read, or a service moved by more than --fail-over, 2 wrong usage.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  portlabel schema snapshot > snapshot.schema.json

Exit codes: 0 done, 2 wrong usage.";

/// The definition of the command line, for man pages and completions.
#[must_use]
pub fn definition() -> clap::Command {
    Args::command()
}

impl Command {
    /// Reads the command line.
    ///
    /// # Errors
    /// What is wrong with it, in clap's form; `--help` and `--version` too. Its exit code is 2 for wrong usage.
    pub fn from_command_line(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<_> = args.into_iter().collect();
        let mut args = Args::try_parse_from(&args).map_err(|error| shown(error, &args))?;
        match args.subcommand.take() {
            None if args.list_interfaces => Ok(Self::ListInterfaces),
            None => args.resolve().map(|config| Self::Label(Box::new(config))),
            Some(SubcommandArgs::Lookup(args)) => {
                Ok(Self::Lookup(Lookup { queries: args.queries, answer: args.answer.resolve() }))
            }
            Some(SubcommandArgs::Explain(args)) => args.resolve().map(Self::Explain),
            Some(SubcommandArgs::Merge(args)) => args.resolve().map(Self::Merge),
            Some(SubcommandArgs::Diff(args)) => args.resolve().map(Self::Diff),
            Some(SubcommandArgs::Schema(args)) => Ok(Self::Schema(args.document)),
        }
    }
}

impl NamingArgs {
    fn resolve(self, quiet: bool) -> Naming {
        Naming { services: self.services, iana_names: self.iana_names, quiet }
    }
}

impl AnswerArgs {
    fn resolve(self) -> Answer {
        Answer {
            json: self.json,
            naming: self.naming.resolve(self.quiet),
            color: self.color.resolve(),
            width: terminal_width(),
        }
    }
}

/// An error of arguments, which are in its text as they were typed, made one that shows what a terminal would obey in them.
fn shown(error: clap::Error, args: &[OsString]) -> clap::Error {
    let texts: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let printables: Vec<_> = texts.iter().map(|text| printable(text)).collect();
    if printables == texts {
        return error;
    }
    match Args::try_parse_from(printables) {
        Err(anew) if anew.kind() == error.kind() => anew,
        // what is wrong has to do with just these characters: it is said without colours
        _ => {
            let text = error.to_string();
            let lines: Vec<_> = text.trim_end().lines().map(printable).collect();
            let text = lines.join("\n");
            clap::Error::raw(error.kind(), text.strip_prefix("error: ").unwrap_or(&text).to_owned() + "\n")
        }
    }
}

/// An error of what was asked for, which clap has no objections to.
fn usage(kind: ErrorKind, message: &str) -> clap::Error {
    Args::command().error(kind, printable(message))
}

/// An error of a command, with its usage.
fn usage_of(name: &str, kind: ErrorKind, message: &str) -> clap::Error {
    let mut command = Args::command();
    command.build(); // else the usage that is printed lacks the program's name
    command.find_subcommand(name).cloned().unwrap_or(command).error(kind, printable(message))
}

impl MergeArgs {
    fn resolve(self) -> Result<Merge, clap::Error> {
        let conflict = |message: String| Err(usage_of("merge", ErrorKind::ArgumentConflict, &message));
        let mut outputs = self.output;
        if outputs.is_empty() {
            outputs.push(Spec { format: Format::Json, destination: Destination::Stdout });
        }
        let unfit = |format| match format {
            Format::Tui => Some("a screen needs a run, and reports are of runs that have ended"),
            Format::Flows => Some("flow records are made of packets, which reports do not have"),
            _ => None,
        };
        if let Some((spec, why)) = outputs.iter().find_map(|spec| Some((spec, unfit(spec.format)?))) {
            return conflict(format!("'-o {}': {why}", spec.format));
        }
        let unfit = output::conflict(&outputs, None);
        if let Some(message) = unfit.or_else(|| output::overwrites_input(&outputs, None, &self.reports)) {
            return conflict(message);
        }
        if self.reports.iter().filter(|report| report.as_os_str() == "-").count() > 1 {
            return conflict("'-' is named twice: standard input can be read once".to_owned());
        }
        let table =
            output::Options { color: self.color.resolve(), width: terminal_width(), ..output::Options::default() };
        let settings = output::Settings { table, ..output::Settings::default() };
        Ok(Merge { reports: self.reports, outputs, settings, quiet: self.quiet })
    }
}

impl ListenArgs {
    fn resolve(self) -> Result<Option<Listen>, String> {
        let Self { listen, listen_token: token, listen_host: hosts, listen_open: open } = self;
        match listen {
            Some(addr) if !(addr.is_loopback() || token.is_some() || open) => Err(format!(
                "--listen {addr} lets other hosts connect: --listen-token FILE asks them for a token, --listen-open lets \
                 everybody in"
            )),
            listen => Ok(listen.map(|addr| Listen { addr, token, hosts })),
        }
    }
}

impl DiffArgs {
    fn resolve(self) -> Result<Diff, clap::Error> {
        if self.before.as_os_str() == "-" && self.after.as_os_str() == "-" {
            let message = "'-' is named twice: standard input can be read once";
            return Err(usage_of("diff", ErrorKind::ArgumentConflict, message));
        }
        Ok(Diff {
            before: self.before,
            after: self.after,
            totals: self.totals,
            fail_over_percent: self.fail_over,
            json: self.json,
            color: self.color.resolve(),
            width: terminal_width(),
            quiet: self.quiet,
        })
    }
}

impl ExplainArgs {
    fn resolve(self) -> Result<Explain, clap::Error> {
        let usage = |message: String| usage_of("explain", ErrorKind::ValueValidation, &message);
        let Self { src, dst, syn, .. } = self;
        let is_named = |transport: &Transport| transport.name().eq_ignore_ascii_case(&self.transport);
        let known = Transport::ALL.into_iter().find(is_named);
        let transport = known.unwrap_or(Transport::Tcp); // clap takes no other names
        if syn && !transport.has_handshake() {
            return Err(usage(format!("{transport} opens no connections: leave --syn out")));
        }
        let (ip_version, src_addr, dst_addr) = match (src.ip(), dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                (IpVersion::V4, AddressWords::v4(src.octets()), AddressWords::v4(dst.octets()))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                (IpVersion::V6, AddressWords::v6(src.octets()), AddressWords::v6(dst.octets()))
            }
            (src, dst) => return Err(usage(format!("{src} and {dst} are of different IP versions"))),
        };
        let segment = Segment {
            src_addr,
            dst_addr,
            src_port: src.port(),
            dst_port: dst.port(),
            ip_version,
            transport,
            handshake: if syn { Handshake::Open } else { Handshake::None },
            tcp_flags: 0,
            to_group: dst_addr.is_group(ip_version),
            later_fragment: false,
            tunnels: 0,
        };
        Ok(Explain { segment, answer: self.answer.resolve() })
    }
}

impl ColorWhen {
    fn resolve(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }
}

impl Args {
    fn resolve(self) -> Result<Config, clap::Error> {
        if let Some(name) = misplaced_subcommand(&self.files) {
            let example =
                if name == "lookup" { "lookup 443 --services FILE".to_owned() } else { format!("{name} --help") };
            let advice = format!("'{name}' stands before its options, as in: portlabel {example}");
            return Err(usage(ErrorKind::ArgumentConflict, &advice));
        }
        let reads = !self.read.is_empty();
        let inputs = [self.files, self.read].concat();
        let is_live = !self.interface.is_empty();
        if inputs.is_empty() && !is_live {
            return Err(Args::command().error(ErrorKind::MissingRequiredArgument, NO_INPUT));
        }
        if is_live && !inputs.is_empty() {
            return Err(usage(ErrorKind::ArgumentConflict, &live_and_captures(&self.interface, &inputs, reads)));
        }
        if inputs.iter().filter(|input| input.as_os_str() == "-").count() > 1 {
            return Err(usage(ErrorKind::ArgumentConflict, "'-' is named twice: standard input can be read once"));
        }
        let filter = match self.filter_file {
            Some(path) => Some(filter_from(&path).map_err(|error| usage(ErrorKind::Io, &error))?),
            None => self.filter,
        }
        .filter(|expression| !expression.trim().is_empty());
        let save = self.write.as_deref().map(Destination::named);
        let mut outputs = self.output;
        if outputs.is_empty() {
            let format = if is_live && output::screen_is_possible() { Format::Tui } else { Format::Table };
            outputs.push(Spec { format, destination: Destination::Stdout });
        }
        // a screen may wait for its user at the end: by then the others are written
        outputs.sort_by_key(|spec| spec.format == Format::Tui);
        if let Some(conflict) = misplaced_output(&outputs, save.as_ref(), self.rotate.is_some()) {
            return Err(usage(ErrorKind::ArgumentConflict, &conflict));
        }
        let listen = self.listening.resolve().map_err(|message| usage(ErrorKind::ArgumentConflict, &message))?;
        let to_terminal = io::stdout().is_terminal();
        let streams = outputs.iter().any(|spec| {
            spec.destination == Destination::Stdout
                && !matches!(spec.format, Format::Table | Format::Json | Format::Prometheus)
        });
        let mut interfaces = self.interface;
        let mut seen = HashSet::new();
        interfaces.retain(|name| seen.insert(name.clone()));
        let input = if is_live {
            Input::Live(LiveInput {
                interfaces,
                snap_len: self.snaplen.unwrap_or(if save.is_some() { LONGEST_SNAP_LEN } else { DEFAULT_SNAP_LEN }),
                buffer_bytes: self.buffer_size,
                promiscuous: !self.no_promiscuous,
                fanout: self.fanout.into(),
            })
        } else {
            Input::Captures(inputs)
        };
        let draws_time = listen.is_some() || outputs.iter().any(|spec| spec.format.draws_time());
        Ok(Config {
            input,
            filter,
            count: self.count,
            duration: self.duration,
            save: save.map(|save| match save {
                Destination::Stdout => "-".into(),
                Destination::Path(path) => path,
            }),
            rotate_bytes: self.rotate,
            table: output::Options {
                color: self.color.resolve(),
                width: terminal_width(),
                top: self.top.map(|top| top as usize),
                sort: self.sort.parse().unwrap_or_default(),
                numeric: self.numeric,
            },
            metrics_services: self.metrics_services as usize,
            intervals_for_pictures: !is_live && self.interval.is_none(),
            user: self.user,
            engine: EngineConfig {
                limits: limits(self.idle_timeout, self.active_timeout, self.max_flows),
                interval: self.interval.or((is_live || draws_time).then_some(DEFAULT_INTERVAL)),
                max_intervals: None,
                flow_records: outputs.iter().any(|spec| spec.format.wants_flows()),
                shapes: listen.is_some() || outputs.iter().any(|spec| spec.format.wants_shapes()),
                histograms: self.histograms,
                outer: self.outer,
                listeners: is_live && !self.no_listeners,
            },
            // a bar between the lines that this program or the next one in a pipe prints would disturb both
            progress: io::stderr().is_terminal()
                && !(self.no_progress || self.quiet || streams && to_terminal || is_pipe(&io::stdout())),
            naming: self.naming.resolve(self.quiet),
            quiet: self.quiet,
            verbose: self.verbose,
            listen,
            outputs,
        })
    }
}

/// What is wrong with interfaces and captures together. Most often it is a filter, which tcpdump takes without an option.
fn live_and_captures(interfaces: &[String], inputs: &[PathBuf], reads: bool) -> String {
    let words: Vec<_> = inputs.iter().map(|input| input.to_string_lossy()).collect();
    if reads || inputs.iter().any(|input| input.as_os_str() == "-" || input.exists()) {
        return format!("either interfaces are watched or captures are read: leave out -i {}", interfaces.join(" -i "));
    }
    let words = words.join(" ");
    format!("'{words}' is no capture; a filter stands behind -f, as in: -f '{words}'")
}

/// A command that was taken for a capture, because options stand before it.
fn misplaced_subcommand(files: &[PathBuf]) -> Option<String> {
    let first = files.first()?.to_str()?;
    let is_one = Args::command().get_subcommands().any(|known| known.get_name() == first);
    (is_one && !Path::new(first).exists()).then(|| first.to_owned())
}

fn limits(idle: Option<Duration>, active: Option<Duration>, max_flows: u32) -> Limits {
    let defaults = Limits::default();
    let unless_zero = |duration: Duration| (!duration.is_zero()).then_some(duration);
    Limits {
        tcp_idle: idle.map_or(defaults.tcp_idle, unless_zero),
        other_idle: idle.map_or(defaults.other_idle, unless_zero),
        active: active.and_then(unless_zero),
        max_flows: max_flows as usize,
    }
}

/// What is wrong with where the outputs go, and where the packets read are saved.
fn misplaced_output(outputs: &[Spec], save: Option<&Destination>, rotates: bool) -> Option<String> {
    if let Some(terminal) = save.filter(|save| save.is_terminal()) {
        return Some(format!(
            "{terminal} is a terminal, and packets are no text: save to a file, or '-w -' into a pipe"
        ));
    }
    if rotates && save == Some(&Destination::Stdout) {
        return Some("standard output is one file: --rotate needs another place to save to".to_owned());
    }
    output::conflict(outputs, save)
}

/// The expression in a file, as tcpdump reads it: comment lines start with '#'.
fn filter_from(path: &Path) -> Result<String, String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("{}: cannot read the filter: {error}", path.display()))?;
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    Ok(lines.join(" "))
}

/// The name of a host, or an address, as it stands in a URL before the port.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.');
    let is_address = name.parse::<IpAddr>().is_ok();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_address || is_name {
        return Ok(name.to_owned());
    }
    Err("expected the name of a host without a port, such as stats.example.org".to_owned())
}

/// How many bytes to take of a packet; 0 is as many as there can be, as in tcpdump.
fn snap_len(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Ok(LONGEST_SNAP_LEN),
        Ok(bytes @ 1..=LONGEST_SNAP_LEN) => Ok(bytes),
        _ => Err(format!("expected a number of bytes from 1 to {LONGEST_SNAP_LEN}, or 0 for the most")),
    }
}

/// The size of a buffer in bytes; a number alone is KiB.
fn buffer_size(text: &str) -> Result<u32, String> {
    const RANGE: std::ops::Range<u64> = 256 << 10..2048 << 20;
    let kib = text.parse().ok().and_then(|kib: u64| kib.checked_mul(1 << 10));
    let bytes = kib.or_else(|| size(text)).filter(|bytes| RANGE.contains(bytes));
    bytes
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| "expected a size from 256K to 2047M, such as 64M or 1G; a number alone is KiB".to_owned())
}

/// The size of a file in bytes.
fn file_size(text: &str) -> Result<u64, String> {
    size(text).filter(|bytes| *bytes > 0).ok_or_else(|| "expected a size, such as 500K, 100M or 1G".to_owned())
}

/// A number with K, M or G (powers of 1024).
fn size(text: &str) -> Option<u64> {
    let (at, unit) = text.char_indices().next_back()?;
    let shift = match unit {
        'k' | 'K' => 10,
        'm' | 'M' => 20,
        'g' | 'G' => 30,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// An address and a port; the interface of a link-local address (RFC 4007, section 11) tells nothing here.
fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let bare = text.split_once('%').and_then(|(address, zone)| Some(format!("{address}]{}", zone.split_once(']')?.1)));
    let wrong = |_| "expected an address and a port, such as 10.0.0.5:443 or [2001:db8::5]:443".to_owned();
    bare.as_deref().unwrap_or(text).parse().map_err(wrong)
}

/// A percentage, with or without its sign.
fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
    let wrong = || "expected a percentage from 0 up, such as 20 or 12.5".to_owned();
    number.filter(|percent| percent.is_finite() && *percent >= 0.0).ok_or_else(wrong)
}

/// A length of time: a number with a unit, such as `500ms`, `1s`, `5m` or `1h30m`; 0 needs no unit.
fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = |_| "expected a number with a unit, such as 500ms, 1s, 5m or 2h".to_owned();
    let parsed: jiff::SignedDuration = text.parse().map_err(wrong)?;
    Duration::try_from(parsed).map_err(|_| "a length of time cannot be negative".to_owned())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("an interval cannot be 0".to_owned()),
        duration => Ok(duration),
    }
}

fn is_pipe(output: &io::Stdout) -> bool {
    rustix::fs::fstat(output).is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_fifo())
}

/// Columns of the terminal that standard output is, if it is one.
fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|width| *width > 0);
    let size = || rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
    stdout.is_terminal().then(|| columns.or_else(size).filter(|width| *width > 0)).flatten()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn command(args: &[&str]) -> Result<Command, clap::Error> {
        Command::from_command_line(std::iter::once("portlabel").chain(args.iter().copied()).map(OsString::from))
    }

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        command(args).map(|command| match command {
            Command::Label(config) => *config,
            other => panic!("{other:?}"),
        })
    }

    fn captures(config: &Config) -> &[PathBuf] {
        match &config.input {
            Input::Captures(captures) => captures,
            Input::Live(live) => panic!("{live:?}"),
        }
    }

    fn live(args: &[&str]) -> (LiveInput, Option<Duration>) {
        let config = parse(args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        match config.input {
            Input::Live(live) => (live, config.engine.interval),
            Input::Captures(captures) => panic!("{captures:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        let cases = [
            ("500ms", Ok(Duration::from_millis(500))),
            ("1s", Ok(Duration::from_secs(1))),
            ("5m", Ok(Duration::from_mins(5))),
            ("1h30m", Ok(Duration::from_mins(90))),
            ("0", Ok(Duration::ZERO)),
            ("5", Err(())),
            ("-5s", Err(())),
            ("", Err(())),
            ("fast", Err(())),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text).map_err(|_| ()), want, "{text}");
        }
        assert!(positive_duration("0").is_err() && positive_duration("0s").is_err());
    }

    #[test]
    fn flags_become_limits() {
        let config = parse(&["a.pcap", "--idle-timeout", "0", "--max-flows", "7"]).expect("valid");
        assert_eq!((config.engine.limits.tcp_idle, config.engine.limits.max_flows), (None, 7));
        let config = parse(&["a.pcap", "-r", "b.pcap", "-o", "flows"]).expect("valid");
        assert_eq!(config.engine.limits.other_idle, Some(Duration::from_mins(2)));
        assert_eq!(captures(&config), [PathBuf::from("a.pcap"), PathBuf::from("b.pcap")]);
        assert!(config.engine.flow_records);
    }

    #[test]
    fn interfaces_have_options_of_their_own() {
        let (plain, interval) = live(&["-i", "eth0", "-i", "eth1", "-i", "eth0"]);
        assert_eq!(plain.interfaces, ["eth0", "eth1"]);
        assert_eq!((plain.snap_len, plain.buffer_bytes, plain.promiscuous, plain.fanout), (512, 64 << 20, true, 1));
        assert_eq!(interval, Some(Duration::from_secs(1)));
        let (saving, _) = live(&["-i", "eth0", "-w", "a.pcapng", "-p", "--fanout", "2", "-B", "1G"]);
        let seen = (saving.snap_len, saving.buffer_bytes, saving.promiscuous, saving.fanout);
        assert_eq!(seen, (262_144, 1 << 30, false, 2));
        let (short, interval) = live(&["-i", "eth0", "-w", "a.pcapng", "-s", "96", "--interval", "5s"]);
        assert_eq!((short.snap_len, interval), (96, Some(Duration::from_secs(5))));
        assert!(matches!(command(&["-D"]), Ok(Command::ListInterfaces)));
    }

    #[test]
    fn buffer_sizes_are_tcpdumps_or_have_a_unit() {
        let cases = [
            ("64M", Some(64 << 20)),
            ("4096", Some(4 << 20)),
            ("256k", Some(256 << 10)),
            ("1G", Some(1 << 30)),
            ("2047M", Some(2047 << 20)),
            ("2G", None),
            ("255K", None),
            ("M", None),
            ("", None),
            ("-1M", None),
            ("99999999999999999999G", None),
            ("18014398509481984K", None),
            ("64µ", None),
        ];
        for (text, want) in cases {
            assert_eq!(buffer_size(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn commands_have_their_own_options() {
        let Ok(Command::Lookup(lookup)) = command(&["lookup", "443", "SSH/tcp", "--services", "a", "--services", "b"])
        else {
            panic!("it is lookup");
        };
        assert_eq!(lookup.queries.iter().map(|query| query.text.as_str()).collect::<Vec<_>>(), ["443", "SSH/tcp"]);
        assert_eq!(lookup.answer.naming.services, [PathBuf::from("a"), PathBuf::from("b")]);
        assert!(!lookup.answer.json && !lookup.answer.naming.iana_names && !lookup.answer.naming.quiet);
        for files in [&["./lookup", "443"][..], &["a.pcap", "lookup"], &["-r", "lookup"], &["--", "a.pcap", "lookup"]] {
            let config = parse(files).expect("captures");
            assert!(captures(&config).iter().any(|input| input.ends_with("lookup")), "{files:?}");
        }
    }

    /// Whatever is wrong with arguments, what a terminal would obey in them is shown.
    #[test]
    fn errors_show_what_is_in_arguments() {
        const ODD: &str = "x\u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}\u{7f}\ry\nz";
        const SHOWN: &str = r"x\u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}\u{7f}\ry\nz";
        let cases = [
            "--ODD",
            "-ODD",
            "-i eth0 ODD",
            "-i ODD -r a.pcap",
            "a.pcap -D ODD",
            "a.pcap -f x -F ODD",
            "a.pcap -F ODD",
            "a.pcap -F /ODD/x",
            "a.pcap -c ODD",
            "a.pcap -c=ODD",
            "a.pcap -a ODD",
            "a.pcap -s ODD -i eth0",
            "a.pcap -B ODD -i eth0",
            "a.pcap --fanout ODD -i eth0",
            "a.pcap --rotate ODD -w a",
            "a.pcap -o ODD",
            "a.pcap -o ODD=x",
            "a.pcap -o tui=ODD",
            "a.pcap -o json=ODD -o csv=ODD",
            "a.pcap -w ODD -o csv=ODD",
            "a.pcap --interval ODD",
            "a.pcap --metrics-services ODD",
            "a.pcap --listen ODD",
            "a.pcap --listen 127.0.0.1:0 --listen-host ODD",
            "a.pcap --max-flows ODD",
            "a.pcap --top ODD",
            "a.pcap --sort ODD",
            "a.pcap --color ODD",
            "a.pcap --quiet=ODD",
            "lookup ODD --ODD",
            "lookup 22/ODD",
            "lookup 443 --color ODD",
            "explain ODD 10.0.0.1:1 10.0.0.2:2",
            "explain tcp ODD 10.0.0.2:2",
            "explain tcp 10.0.0.1:1 10.0.0.2:2 ODD",
            "merge a.json -o ODD",
            "merge a.json -o json=ODD -o csv=ODD",
            "merge --ODD",
            "diff a.json b.json ODD",
            "diff a.json b.json --fail-over ODD",
            "schema ODD",
        ];
        let mut shown = 0;
        for case in cases {
            let args: Vec<_> = case.split(' ').map(|arg| arg.replace("ODD", ODD)).collect();
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let error = match command(&args) {
                Err(error) => error,
                Ok(command) => panic!("{case}: {command:?}"),
            };
            assert_eq!(error.exit_code(), 2, "{case}");
            let coloured = error.render().ansi().to_string();
            assert!(coloured.contains("\u{1b}["), "{case}: colours stay");
            // what clap colours with is all that a terminal is to obey, and its lines
            let lines: Vec<_> =
                coloured.split("\u{1b}[").map(|text| text.split_once('m').map_or(text, |(_, text)| text)).collect();
            let text = lines.concat();
            assert!(text.lines().all(|line| printable(line) == line) && !text.contains("y\nz"), "{case}: {text:?}");
            shown += usize::from(text.contains(SHOWN));
        }
        assert!(shown > cases.len() / 2, "most name the argument: {shown}");
        // where they are what is wrong, clap has nothing to say of the others
        let no_text = OsString::from_vec(b"a.pcap \xff\x1b]0;pwned\x07".to_vec());
        let args = [OsString::from("portlabel"), "-o".into(), no_text];
        let error = Command::from_command_line(args).expect_err("no text");
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidUtf8, 2));
        let text = error.render().ansi().to_string();
        assert!(
            text.contains("invalid UTF-8") && !text.contains("error: error") && !text.contains("\u{1b}]"),
            "{text:?}"
        );
        // help names the program as it was called
        let odd = Command::from_command_line([ODD, "--help"].map(OsString::from)).expect_err("help");
        assert_eq!(odd.kind(), ErrorKind::DisplayHelp);
        assert!(odd.to_string().lines().all(|line| printable(line) == line));
    }

    #[test]
    fn wrong_usage_is_exit_code_2() {
        let cases: [&[&str]; 27] = [
            &["-i"],
            &["-i", "eth0", "tcp", "port", "80"],
            &["-i", "eth0", "-r", "a.pcap"],
            &["-i", "eth0", "-B", "1"],
            &["a.pcap", "-s", "96"],
            &["a.pcap", "--fanout", "2"],
            &["-D", "a.pcap"],
            &["lookup"],
            &["lookup", ""],
            &["lookup", "70000"],
            &["lookup", "80-79"],
            &["lookup", "22/tpc"],
            &["lookup", "443", "-o", "json"],
            &["lookup", "443", "--interval", "1s"],
            &["--services", "a", "lookup", "443"],
            &["-q", "lookup", "443"],
            &["a.pcap", "--services"],
            &[],
            &["-", "-"],
            &["a.pcap", "-o", "xml"],
            &["a.pcap", "-o", "json=/tmp/x", "-o", "csv=/tmp/x"],
            &["a.pcap", "--interval", "0"],
            &["a.pcap", "-c", "0"],
            &["a.pcap", "--max-flows", "0"],
            &["a.pcap", "--sort", "beauty"],
            &["a.pcap", "-F", "/nowhere/filter"],
            &["a.pcap", "--no-such-flag"],
        ];
        for args in cases {
            assert_eq!(parse(args).expect_err("wrong").exit_code(), 2, "{args:?}");
        }
    }
}
