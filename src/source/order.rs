//! Several inputs as one source: in the order of their first packets, and merged by packet time where they overlap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::error::{Fault, Severity, SourceError};
use super::input::{Input, Shared};
use super::reader::Reader;
use super::record::Step;
use super::resolve::{Named, Origin, STANDARD_INPUT, open_error, resolve};
use super::stream::BLOCK_LEN;
use super::{Interface, Next, Source};
use crate::units::Timestamp;

/// Bytes read at once when there are more than [`FEW`] inputs, many of which may be open together.
const SMALL_BLOCK_LEN: usize = 64 << 10;
/// Up to so many inputs are read in large blocks.
const FEW: usize = 16;
/// Bytes read to find the first packet.
const PROBE_LEN: usize = 16 << 10;

/// Capture files, folders of them and streams, read as one source.
///
/// Packets come by capture time across inputs, those of one input in the order in which they are in it. Ties go to the
/// input that was named first. Only inputs that overlap in time are open together.
pub struct Files {
    shared: Shared,
    /// In the order in which they were named.
    inputs: Vec<Slot>,
    interfaces: Vec<Interface>,
    /// The input whose turn it is, out of its slot.
    current: Option<(usize, Reader)>,
    /// Until when its turn lasts: the next packet of any other input, and which.
    turn_end: (Timestamp, usize),
    /// The others that have a packet to give, by its time.
    waiting: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Open, but not as far as their first packet.
    starting: VecDeque<usize>,
    /// To be told before anything else.
    errors: VecDeque<SourceError>,
    block_len: usize,
}

/// An input and how far it is.
struct Slot {
    named: Named,
    state: State,
    /// Whether it turned out to be a capture, or what is left of one.
    readable: bool,
}

enum State {
    /// To be opened when the time of its first packet comes.
    Closed,
    /// Open; it may be in [`Files::current`] instead.
    Open(Reader),
    /// In [`Files::current`].
    Current,
    /// Read to its end, or as far as that went.
    Done,
}

/// The turn of an input that is the only one.
const FOREVER: (Timestamp, usize) = (Timestamp::from_nanos(i64::MAX), usize::MAX);

impl Files {
    /// The captures that `paths` name: files, folders of captures, FIFOs, and `-` for standard input.
    ///
    /// Whatever is wrong with any of them is told by [`Source::next`], one error a call. Reading ends early and in
    /// order when `stop` is set.
    #[must_use]
    pub fn open(paths: &[PathBuf], stop: Arc<AtomicBool>) -> Self {
        let (named, errors) = resolve(paths);
        let block_len = if named.len() > FEW { SMALL_BLOCK_LEN } else { BLOCK_LEN };
        let inputs = named.into_iter().map(|named| Slot { named, state: State::Closed, readable: false }).collect();
        let mut files = Self {
            shared: Shared { stop, progress: Arc::default() },
            inputs,
            interfaces: Vec::new(),
            current: None,
            turn_end: FOREVER,
            waiting: BinaryHeap::new(),
            starting: VecDeque::new(),
            errors: errors.into(),
            block_len,
        };
        files.line_up();
        files.report_folders_without_captures(paths);
        files
    }

    /// What the report calls the inputs, in the order in which they were named: a folder's captures one by one,
    /// without what turned out to be none.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.candidates().map(|slot| slot.named.name.as_str()).collect()
    }

    /// How many inputs could be read, be it only in part: when there is none, nothing could be read at all.
    /// A stream counts from its first packet on.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.inputs.iter().filter(|slot| slot.readable).count()
    }

    /// Bytes of all regular files, as they are on disk.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.candidates().map(|slot| slot.named.origin.size()).sum()
    }

    /// A counter of the bytes read so far, as they are on disk or in the pipe.
    #[must_use]
    pub fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.progress)
    }

    /// The inputs of which nobody knows yet that they are no captures.
    fn candidates(&self) -> impl Iterator<Item = &Slot> {
        self.inputs.iter().filter(|slot| slot.readable || !matches!(slot.state, State::Done))
    }

    /// Finds out when the first packet of each file was captured, where there is an order to be found. What can be
    /// read only once is started.
    fn line_up(&mut self) {
        let alone = self.inputs.len() == 1;
        for at in 0..self.inputs.len() {
            let Named { origin, folder, .. } = &self.inputs[at].named;
            if alone && folder.is_none() || !matches!(origin, Origin::File { .. }) {
                self.starting.push_back(at);
            } else if let Err(error) = self.probe(at) {
                self.errors.push_back(error);
            }
        }
    }

    /// Reads a file up to its first packet, and closes it again.
    fn probe(&mut self, at: usize) -> Result<(), SourceError> {
        // neither its bytes nor its interfaces count yet
        let shared = Shared { progress: Arc::default(), ..self.shared.clone() };
        let mut reader = self.open_input(at, shared, PROBE_LEN)?;
        match reader.advance(&mut Vec::new()) {
            Ok(Step::Packet) => self.waiting.push(Reverse((reader.ts(), at))),
            Ok(Step::Idle | Step::End) => self.inputs[at].state = State::Done,
            Err(fault) => return Err(self.fail(at, fault)),
        }
        self.inputs[at].readable = true;
        Ok(())
    }

    fn report_folders_without_captures(&mut self, paths: &[PathBuf]) {
        for (place, path) in paths.iter().enumerate() {
            let mut members = self.inputs.iter().filter(|slot| slot.named.folder == Some(place)).peekable();
            if members.peek().is_some() && !members.any(|slot| slot.readable) {
                self.errors.push_back(SourceError::NoCaptures { folder: path.display().to_string() });
            }
        }
    }

    fn open_input(&mut self, at: usize, shared: Shared, block_len: usize) -> Result<Reader, SourceError> {
        let slot = &mut self.inputs[at];
        let (name, input) = match &slot.named.origin {
            Origin::File { path, .. } | Origin::Stream(path) => (slot.named.name.as_str(), Input::open(path, shared)),
            Origin::Standard => (STANDARD_INPUT, Input::standard(shared)),
        };
        match input {
            Ok(input) => Ok(Reader::new(name.to_owned(), input, block_len)),
            Err(source) => {
                slot.state = State::Done;
                slot.readable = false;
                Err(open_error(name, source))
            }
        }
    }

    /// Ends an input because of `fault`, and says so.
    fn fail(&mut self, at: usize, fault: Fault) -> SourceError {
        let slot = &mut self.inputs[at];
        let input = match slot.named.origin {
            Origin::Standard => STANDARD_INPUT.to_owned(),
            Origin::File { .. } | Origin::Stream(_) => slot.named.name.clone(),
        };
        let error = match fault {
            Fault::NotACapture(found) if slot.named.folder.is_some() => SourceError::Skipped { input, found },
            fault => SourceError::Input { input, fault },
        };
        slot.state = State::Done;
        slot.readable |= error.severity() == Severity::Damaged;
        error
    }

    /// Goes to the next packet of all inputs.
    #[inline]
    fn step(&mut self) -> Result<Step, SourceError> {
        if let Some((at, reader)) = &mut self.current {
            match reader.advance(&mut self.interfaces) {
                Ok(Step::Packet) if (reader.ts(), *at) <= self.turn_end => return Ok(Step::Packet),
                Ok(Step::Idle) => return Ok(Step::Idle),
                result => self.end_turn(result)?,
            }
        }
        self.take_turn()
    }

    /// Decides whose turn it is; that input then stands at the packet that comes next.
    #[cold]
    fn take_turn(&mut self) -> Result<Step, SourceError> {
        loop {
            if let Some(error) = self.errors.pop_front() {
                return Err(error);
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                return Ok(Step::End);
            }
            if let Some(&at) = self.starting.front() {
                if self.start(at)? == Step::Idle {
                    return Ok(Step::Idle);
                }
                continue;
            }
            let Some(Reverse((_, at))) = self.waiting.pop() else { return Ok(Step::End) };
            match std::mem::replace(&mut self.inputs[at].state, State::Current) {
                State::Open(reader) => {
                    self.turn_end = self.waiting.peek().map_or(FOREVER, |Reverse(next)| *next);
                    self.current = Some((at, reader));
                    return Ok(Step::Packet);
                }
                other => {
                    // its time has come: now it is opened in earnest
                    self.inputs[at].state = other;
                    self.starting.push_back(at);
                }
            }
        }
    }

    /// Brings an input to its first packet, by which it then waits for its turn.
    fn start(&mut self, at: usize) -> Result<Step, SourceError> {
        let result = self.start_reader(at);
        if !matches!(result, Ok(Step::Idle)) {
            self.starting.retain(|starting| *starting != at);
        }
        result
    }

    fn start_reader(&mut self, at: usize) -> Result<Step, SourceError> {
        let mut reader = match std::mem::replace(&mut self.inputs[at].state, State::Done) {
            State::Open(reader) => reader,
            State::Closed => self.open_input(at, self.shared.clone(), self.block_len)?,
            State::Current | State::Done => return Ok(Step::End),
        };
        let step = reader.advance(&mut self.interfaces).map_err(|fault| self.fail(at, fault))?;
        self.inputs[at].readable |= reader.is_capture();
        match step {
            Step::Packet => self.wait(at, reader),
            Step::Idle => self.inputs[at].state = State::Open(reader),
            Step::End => {}
        }
        Ok(step)
    }

    /// Puts an input that stands at a packet among those that wait.
    fn wait(&mut self, at: usize, reader: Reader) {
        self.waiting.push(Reverse((reader.ts(), at)));
        self.inputs[at].state = State::Open(reader);
    }

    /// Ends the turn of the current input: another is due, or it has no more, or it has a fault.
    #[cold]
    fn end_turn(&mut self, result: Result<Step, Fault>) -> Result<(), SourceError> {
        let Some((at, reader)) = self.current.take() else { return Ok(()) };
        match result {
            Ok(Step::Packet | Step::Idle) => self.wait(at, reader),
            Ok(Step::End) => self.inputs[at].state = State::Done,
            Err(fault) => return Err(self.fail(at, fault)),
        }
        Ok(())
    }
}

impl Source for Files {
    #[inline]
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        match self.step()? {
            Step::Packet => Ok(self.current.as_ref().map_or(Next::End, |(_, reader)| Next::Frame(reader.frame()))),
            Step::Idle => Ok(Next::Idle),
            Step::End => Ok(Next::End),
        }
    }

    fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::testing::{interface, packet, pcap_file, section};
    use super::*;
    use crate::source::record::ByteOrder::Little;

    /// What came of reading: the seconds of packets with the name of their interface, and the errors.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Told {
        packets: Vec<(i64, String)>,
        errors: Vec<(Severity, String)>,
    }

    fn run(files: &mut Files) -> Told {
        let mut told = Told::default();
        loop {
            let (seconds, interface) = match files.next() {
                Ok(Next::Frame(frame)) => (frame.ts.as_nanos() / 1_000_000_000, frame.interface as usize),
                Ok(Next::Idle) => continue,
                Ok(Next::End) => return told,
                Err(error) => {
                    told.errors.push((error.severity(), error.to_string()));
                    continue;
                }
            };
            told.packets.push((seconds, files.interfaces()[interface].name.clone()));
        }
    }

    fn open(paths: &[&Path]) -> Files {
        Files::open(&paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>(), Arc::default())
    }

    /// Seconds and the last letter of the name, as in `1a 2b`.
    fn brief(told: &Told) -> String {
        let letter = |name: &str| name.chars().last().unwrap_or(' ');
        told.packets.iter().map(|(at, name)| format!("{at}{} ", letter(name))).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn inputs_are_merged_by_time() {
        let cases: [(&str, &[&[u32]], &str); 8] = [
            ("one after the other, named in any order", &[&[5, 6], &[1, 2], &[3, 4]], "1b 2b 3c 4c 5a 6a"),
            ("overlapping", &[&[1, 4, 7], &[2, 5, 8], &[3, 6, 9]], "1a 2b 3c 4a 5b 6c 7a 8b 9c"),
            ("ties go to the first", &[&[1, 2], &[1, 2], &[1, 3]], "1a 1b 1c 2a 2b 3c"),
            ("one around another", &[&[1, 9], &[3, 4]], "1a 3b 4b 9a"),
            ("steps backwards stay where they are", &[&[5, 1, 6], &[4, 5]], "4b 5a 1a 5b 6a"),
            ("one without packets", &[&[], &[1]], "1b"),
            ("a single one, backwards", &[&[3, 2, 1]], "3a 2a 1a"),
            ("none with packets", &[&[], &[]], ""),
        ];
        for (name, inputs, want) in cases {
            let folder = tempfile::tempdir().expect("a folder");
            let paths: Vec<_> = ["a", "b", "c"].iter().map(|letter| folder.path().join(letter)).collect();
            for (path, seconds) in paths.iter().zip(inputs) {
                fs::write(path, pcap_file(seconds)).expect("room");
            }
            let mut files = open(&paths.iter().take(inputs.len()).map(PathBuf::as_path).collect::<Vec<_>>());
            let told = run(&mut files);
            assert_eq!(brief(&told), want, "{name}");
            assert_eq!(told.errors, [], "{name}");
            assert_eq!(files.readable(), inputs.len(), "{name}");
            assert_eq!(files.progress().load(Ordering::Relaxed), files.total_bytes() - empty_bytes(inputs), "{name}");
        }
    }

    /// Bytes of the captures without packets, which are looked at, but not read again.
    fn empty_bytes(inputs: &[&[u32]]) -> u64 {
        if inputs.len() == 1 { 0 } else { inputs.iter().filter(|seconds| seconds.is_empty()).count() as u64 * 24 }
    }

    #[test]
    fn a_folder_is_the_captures_directly_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deeper")).expect("room");
        fs::write(at("deeper/d"), pcap_file(&[1])).expect("room");
        fs::write(at("b"), pcap_file(&[2])).expect("room");
        fs::write(at("a"), pcap_file(&[2, 3])).expect("room");
        fs::write(at("notes.txt"), "what we saw\n").expect("room");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RUSR).expect("a FIFO");
        let mut files = open(&[folder.path()]);
        let told = run(&mut files);
        assert_eq!(brief(&told), "2a 2b 3a");
        let base = folder.path().display();
        assert_eq!(
            told.errors,
            [
                (Severity::Skipped, format!("{base}/fifo: skipped, no capture: it is no regular file")),
                (Severity::Skipped, format!("{base}/notes.txt: skipped, no capture: it is text: \"what we saw\\n\"")),
            ]
        );
        assert_eq!(files.names(), [format!("{base}/a"), format!("{base}/b")]);
        assert_eq!(files.total_bytes(), 24 + 2 * 19 + 24 + 19);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), pcap_file(&[1, 2])).expect("room");
        fs::write(at("cut"), &pcap_file(&[1, 2])[..60]).expect("room");
        fs::write(at("empty"), "").expect("room");
        fs::write(at("text"), "<html>").expect("room");
        fs::create_dir(at("nothing")).expect("room");
        fs::create_dir(at("notes")).expect("room");
        fs::write(at("notes/n"), "n").expect("room");
        let paths = ["a", "cut", "empty", "text", "gone", "nothing", "notes"].map(at);
        let mut files = open(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let told = run(&mut files);
        assert_eq!(brief(&told), "1a 1t 2a");
        let base = folder.path().display();
        let want = [
            (Severity::Unreadable, format!("{base}/gone: cannot open: No such file or directory (os error 2)")),
            (Severity::Unreadable, format!("{base}/nothing: no capture directly in this folder")),
            (Severity::Damaged, format!("{base}/empty: 0 bytes, no capture header")),
            (Severity::Unreadable, format!("{base}/text: no capture (pcap or pcapng): it is XML or HTML")),
            (Severity::Skipped, format!("{base}/notes/n: skipped, no capture: it is text: \"n\"")),
            (Severity::Unreadable, format!("{base}/notes: no capture directly in this folder")),
            (Severity::Damaged, format!("{base}/cut: damaged at byte 43: record 2 claims 3 captured bytes, 1 remain")),
        ];
        assert_eq!(told.errors, want);
        assert_eq!(files.readable(), 3);
        assert_eq!(files.names(), ["a", "cut", "empty"].map(|name| format!("{base}/{name}")));
    }

    #[test]
    fn nothing_readable_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        for (content, readable) in [("text", 0), ("", 1)] {
            let path = folder.path().join("x");
            fs::write(&path, content).expect("room");
            let mut files = open(&[&path]);
            assert_eq!(run(&mut files).errors.len(), 1, "{content:?}");
            assert_eq!(files.readable(), readable, "{content:?}");
        }
    }

    #[test]
    fn interfaces_of_all_inputs_are_one_list() {
        let folder = tempfile::tempdir().expect("a folder");
        let capture = |ticks: u64, names: [&[u8]; 2]| {
            let mut file = section(Little);
            for (id, name) in (0..).zip(names) {
                file.extend(interface(Little, 1, 0, &[(2, name)]));
                file.extend(packet(Little, id, ticks * 1_000_000, b"abc"));
            }
            file
        };
        let paths = [folder.path().join("a"), folder.path().join("b")];
        fs::write(&paths[0], capture(2, [b"v", b"w"])).expect("room");
        fs::write(&paths[1], capture(1, [b"x", b"y"])).expect("room");
        let mut files = open(&[&paths[0], &paths[1]]);
        assert_eq!(brief(&run(&mut files)), "1x 1y 2v 2w");
        assert_eq!(files.interfaces().len(), 4);
    }

    #[test]
    fn a_fifo_is_merged_with_a_file() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().expect("a folder");
        let (file, fifo) = (folder.path().join("a"), folder.path().join("f"));
        fs::write(&file, pcap_file(&[1, 3])).expect("room");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO");
        let mut files = open(&[&file, &fifo]);
        assert!(matches!(files.next(), Ok(Next::Idle)), "nobody knows what comes first");
        let mut writer = fs::File::options().write(true).open(&fifo).expect("a reader");
        writer.write_all(&pcap_file(&[2, 4])).expect("room in the pipe");
        drop(writer);
        assert_eq!(brief(&run(&mut files)), "1a 2f 3a 4f");
    }

    #[test]
    fn a_stop_ends_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, pcap_file(&(0..100_000).collect::<Vec<_>>())).expect("room");
        let stop = Arc::new(AtomicBool::new(false));
        let mut files = Files::open(&[path], Arc::clone(&stop));
        assert!(matches!(files.next(), Ok(Next::Frame(_))));
        stop.store(true, Ordering::Relaxed);
        let told = run(&mut files);
        assert_eq!(told.errors, []);
        assert!(told.packets.len() < 20_000, "{} packets after the stop", told.packets.len());
    }
}
