//! Several inputs as one source: in the order of their first packets, and merged by packet time where they overlap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::ahead::ReadAhead;
use super::error::{Fault, Severity, SourceError};
use super::input::{Input, Shared};
use super::reader::Reader;
use super::record::Step;
use super::resolve::{Named, Origin, STANDARD_INPUT, open_error, resolve};
use super::stream::BLOCK_LEN;
use super::{Frame, Interface, Next, Pause, Source};
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
    /// Whatever is wrong with any of them is told by [`Source::read`], one error a call. Reading ends early and in
    /// order when `stop` is set.
    #[must_use]
    pub fn open(paths: &[PathBuf], stop: Arc<AtomicBool>) -> Self {
        let (named, errors) = resolve(paths);
        let block_len = if named.len() > FEW { SMALL_BLOCK_LEN } else { BLOCK_LEN };
        let read_ahead = ReadAhead::of(named.len());
        let inputs = named.into_iter().map(|named| Slot { named, state: State::Closed, readable: false }).collect();
        let mut files = Self {
            shared: Shared { stop, read_ahead, ..Shared::default() },
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

    /// The next packet, for readers who take one at a time.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn next_packet(&mut self) -> Result<Next<'_>, SourceError> {
        match self.step()? {
            Step::Packet => Ok(self.current.as_ref().map_or(Next::End, |(_, reader)| Next::Frame(reader.frame()))),
            Step::Idle => Ok(Next::Idle),
            Step::End => Ok(Next::End),
        }
    }

    /// The interfaces that frames refer to. It only grows.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// What the report calls the inputs, in the order in which they were named: a folder's captures one by one,
    /// without what turned out to be none.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.candidates().map(|slot| slot.named.name.as_str()).collect()
    }

    /// Where the inputs are that [`Files::names`] names; standard input is nowhere.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.candidates().filter_map(|slot| slot.named.origin.path())
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

    /// All are regular files, so that [`Files::total_bytes`] are all that there are.
    #[must_use]
    pub fn are_regular(&self) -> bool {
        self.candidates().all(|slot| matches!(slot.named.origin, Origin::File { .. }))
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

    /// Finds out what each file is, and when its first packet was captured; a file that is the only one is started by
    /// that. What can be read only once waits for its turn.
    fn line_up(&mut self) {
        let alone = self.inputs.len() == 1;
        for at in 0..self.inputs.len() {
            if !matches!(self.inputs[at].named.origin, Origin::File { .. }) {
                self.starting.push_back(at);
                continue;
            }
            let result = if alone { self.start(at).map(drop) } else { self.probe(at) };
            self.errors.extend(result.err());
        }
    }

    /// Reads a file up to its first packet, and closes it again.
    fn probe(&mut self, at: usize) -> Result<(), SourceError> {
        // neither its bytes nor its interfaces count yet
        let shared = Shared { stop: Arc::clone(&self.shared.stop), ..Shared::default() };
        let mut reader = self.open_input(at, shared, PROBE_LEN)?;
        // what is told of it is told when it is opened in earnest
        match advance(&mut reader, &mut Vec::new(), |_| {}) {
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

    /// What users are told of a fault.
    fn told(&self, at: usize, fault: Fault) -> SourceError {
        let named = &self.inputs[at].named;
        let input = match named.origin {
            Origin::Standard => STANDARD_INPUT.to_owned(),
            Origin::File { .. } | Origin::Stream(_) => named.name.clone(),
        };
        match fault {
            Fault::NotACapture(found) if named.folder.is_some() => SourceError::Skipped { input, found },
            fault => SourceError::Input { input, fault },
        }
    }

    /// Ends an input because of `fault`, and says so.
    fn fail(&mut self, at: usize, fault: Fault) -> SourceError {
        let error = self.told(at, fault);
        let slot = &mut self.inputs[at];
        slot.state = State::Done;
        slot.readable |= error.severity() == Severity::Damaged;
        error
    }

    /// Goes to the next packet of all inputs.
    #[inline(always)]
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
        let mut passing = Vec::new();
        let advanced = advance(&mut reader, &mut self.interfaces, |fault| passing.push(fault));
        let told: Vec<_> = passing.into_iter().map(|fault| self.told(at, fault)).collect();
        self.errors.extend(told);
        let step = advanced.map_err(|fault| self.fail(at, fault))?;
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

    /// Ends the turn of the current input: another is due, or it has no more, or it has a fault. One that passes only has to
    /// be told.
    #[cold]
    fn end_turn(&mut self, result: Result<Step, Fault>) -> Result<(), SourceError> {
        let Some((at, reader)) = self.current.take() else { return Ok(()) };
        match result {
            Err(fault) if fault.is_passing() => {
                self.current = Some((at, reader));
                return Err(self.told(at, fault));
            }
            Ok(Step::Packet | Step::Idle) => self.wait(at, reader),
            Ok(Step::End) => self.inputs[at].state = State::Done,
            Err(fault) => return Err(self.fail(at, fault)),
        }
        Ok(())
    }
}

/// Goes to the next packet of an input. Faults that pass go to `tell`.
fn advance(reader: &mut Reader, interfaces: &mut Vec<Interface>, mut tell: impl FnMut(Fault)) -> Result<Step, Fault> {
    loop {
        match reader.advance(interfaces) {
            Err(fault) if fault.is_passing() => tell(fault),
            result => return result,
        }
    }
}

impl Source for Files {
    type Error = SourceError;

    #[inline]
    fn read(
        &mut self,
        take: &mut impl FnMut(&Frame<'_>, &[Interface]) -> ControlFlow<()>,
    ) -> Result<Pause, SourceError> {
        loop {
            match self.step()? {
                Step::Packet => {
                    let Self { current: Some((at, reader)), turn_end, interfaces, .. } = self else {
                        return Ok(Pause::End);
                    };
                    if reader.pass_on(|ts| (ts, *at) <= *turn_end, |frame| take(frame, interfaces)).is_break() {
                        return Ok(Pause::Enough);
                    }
                }
                Step::Idle => return Ok(Pause::Idle),
                Step::End => return Ok(Pause::End),
            }
        }
    }

    fn is_readable(&self) -> bool {
        self.readable() > 0
    }

    fn read_ahead(&self) -> ReadAhead {
        self.shared.read_ahead.clone()
    }
}

#[cfg(test)]
mod tests;
