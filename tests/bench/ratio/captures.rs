//! The captures, made once and kept under `target/bench`: by `traffic.rs`, or by `gen.c` of `PORTLABEL_BENCH`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::traffic::Traffic;

/// A capture by name.
#[derive(Debug)]
pub struct Capture {
    pub name: &'static str,
    pub traffic: Traffic,
}

const fn capture(name: &'static str, packets: u64, active_flows: u32, snap_len: u32, seed: u64) -> Capture {
    let traffic = Traffic { packets, active_flows, flow_packets: None, snap_len, seed, mean_gap_ns: 1_500 };
    Capture { name, traffic }
}

/// A million flows of 10 million packets, so many of them at a time.
const fn active(name: &'static str, active_flows: u32) -> Capture {
    let all = capture(name, 10_000_000, active_flows, 96, 1);
    // those that are open at the end have not all of theirs
    let flow_packets = match 1_000_000 - active_flows {
        0 => u32::MAX,
        ended => 10_000_000 / ended,
    };
    Capture { traffic: Traffic { flow_packets: Some(flow_packets), ..all.traffic }, ..all }
}

/// What a packet costs: 300,000 flows.
pub static HEADERS: Capture = capture("headers", 10_000_000, 20_000, 96, 1);
/// What a byte costs.
pub static FULL: Capture = capture("full", 2_000_000, 20_000, 65_535, 2);
/// What a flow costs: more flows than packets in two.
pub static CHURN: Capture = capture("churn", 5_000_000, 5_000_000, 96, 3);
/// The first again, over so much time that flows expire.
pub static SLOW: Capture = {
    let fast = capture("slow", 10_000_000, 20_000, 96, 4);
    Capture { traffic: Traffic { mean_gap_ns: 1_000_000, ..fast.traffic }, ..fast }
};
/// What it costs to begin.
pub static TEN: Capture = capture("ten", 10, 10, 96, 1);
/// For programs that take longer, and for those that take much longer.
pub static PEERS: Capture = capture("peers", 2_000_000, 20_000, 96, 1);
pub static SLOW_PEERS: Capture = capture("slow-peers", 200_000, 20_000, 96, 1);
/// What `live.sh` sends.
pub static LIVE: Capture = capture("live", 1_000_000, 20_000, 96, 1);
/// What it costs that there are many flows at a time.
pub static ACTIVE: [Capture; 4] = [
    active("active-1k", 1_000),
    active("active-10k", 10_000),
    active("active-100k", 100_000),
    active("active-1m", 1_000_000),
];

fn all() -> impl Iterator<Item = &'static Capture> {
    [&HEADERS, &FULL, &CHURN, &SLOW, &TEN, &PEERS, &SLOW_PEERS, &LIVE].into_iter().chain(&ACTIVE)
}

/// Writes the capture called `name` to standard output. A process of its own does this: what it needs of memory would count
/// for the programs that a process starts and measures.
pub fn write(name: &str) -> io::Result<()> {
    let unknown = || io::Error::other(format!("there is no capture {name}"));
    let capture = all().find(|capture| capture.name == name).ok_or_else(unknown)?;
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    capture.traffic.write(&mut out)?;
    out.flush()
}

/// How a capture is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Pcap,
    Pcapng,
    Gzip,
    Zstd,
}

impl Form {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
            Self::Gzip => "pcap.gz",
            Self::Zstd => "pcap.zst",
        }
    }
}

/// What makes captures, and where they are.
pub struct Captures {
    folder: PathBuf,
    /// `gen.c`, compiled; `traffic.rs` where there is none.
    generator: Option<PathBuf>,
    /// `empty_loop.c`, compiled.
    pub empty_loop: PathBuf,
}

impl Captures {
    /// Prepares the folder: captures of another generator are removed from it.
    ///
    /// # Errors
    /// What keeps the folder from being written, or a C program from being built.
    pub fn prepare(yardstick: Option<&Path>) -> io::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (folder, maker, loop_source) = match yardstick {
            Some(sources) => ("target/bench/yardstick", sources.join("gen.c"), sources.join("empty_loop.c")),
            None => ("target/bench/own", "tests/bench/traffic.rs".into(), "tests/bench/empty_loop.c".into()),
        };
        let folder = manifest.join(folder);
        let maker = manifest.join(maker);
        // the maker's text, as it was when the captures were made
        let made_by = folder.join("made-by");
        let text = fs::read(&maker)?;
        if fs::read(&made_by).ok().as_ref() != Some(&text) {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            fs::write(&made_by, text)?;
        }
        let generator = yardstick.map(|_| compile(&maker, &folder, "-lm")).transpose()?;
        let empty_loop = compile(&manifest.join(loop_source), &folder, "-lpcap")?;
        Ok(Self { folder, generator, empty_loop })
    }

    /// A capture, in the page cache.
    ///
    /// # Errors
    /// What keeps it from being made, such as a program that is not installed.
    pub fn warm(&self, capture: &Capture, form: Form) -> io::Result<PathBuf> {
        let path = self.folder.join(format!("{}.{}", capture.name, form.extension()));
        if !path.exists() {
            eprintln!("making {} ...", path.display());
            let part = path.with_extension("part");
            let mut command = self.maker(capture, form, &part)?;
            let status = command.stdout(File::create(&part)?).stderr(Stdio::null()).status();
            let name = command.get_program().to_string_lossy().into_owned();
            let status = status.map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            if !status.success() {
                return Err(io::Error::other(format!("{name}: {status}")));
            }
            rewrite(&part, &path)?;
        }
        io::copy(&mut File::open(&path)?, &mut io::sink())?;
        Ok(path)
    }

    /// What writes a capture to standard output, or to `part` as well.
    fn maker(&self, capture: &Capture, form: Form, part: &Path) -> io::Result<Command> {
        let from_pcap = |program: &str, before: &[&str], after: &[&str]| {
            let pcap = self.warm(capture, Form::Pcap)?;
            let mut command = Command::new(program);
            command.args(before).arg(pcap).args(after);
            Ok(command)
        };
        match (form, &self.generator) {
            (Form::Pcapng, _) => from_pcap("editcap", &["-F", "pcapng"], &["-"]),
            (Form::Gzip, _) => from_pcap("gzip", &["-c"], &[]),
            (Form::Zstd, _) => from_pcap("zstd", &["-q", "-c"], &[]),
            // the C program has no such length
            (Form::Pcap, Some(generator)) if capture.traffic.flow_packets.is_none() => {
                let Traffic { packets, active_flows, snap_len, seed, mean_gap_ns, .. } = capture.traffic;
                let mut command = Command::new(generator);
                command.args([packets, active_flows.into(), snap_len.into(), seed].map(|number| number.to_string()));
                command.arg(part).arg(mean_gap_ns.to_string());
                Ok(command)
            }
            (Form::Pcap, _) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--make", capture.name]);
                Ok(command)
            }
        }
    }
}

/// Puts a file in the place of another, in pieces of a mebibyte. The system keeps what was written in large pieces in large
/// pages, which are read sooner: captures are to differ in what is in them, and not in who has written them.
fn rewrite(part: &Path, path: &Path) -> io::Result<()> {
    let mut from = BufReader::with_capacity(1 << 20, File::open(part)?);
    let mut to = File::create(path)?;
    loop {
        let piece = from.fill_buf()?;
        if piece.is_empty() {
            return fs::remove_file(part);
        }
        to.write_all(piece)?;
        let len = piece.len();
        from.consume(len);
    }
}

/// Builds a C program.
fn compile(source: &Path, folder: &Path, library: &str) -> io::Result<PathBuf> {
    let program = folder.join(source.file_stem().unwrap_or_default());
    let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let status = Command::new(compiler).args(["-O2", "-o"]).arg(&program).arg(source).arg(library).status()?;
    if status.success() { Ok(program) } else { Err(io::Error::other(format!("{}: {status}", source.display()))) }
}
