//! Reading and decompression ahead of who wants the bytes: by whoever has nothing better to do, and by the reader itself when
//! it gets there first. No thread is kept for it, so none has to be woken, or takes the processor of another.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::compressed::Unpacker;
use super::error::Codec;
use super::input::{ReadError, Shared};

/// Blocks of one input, with the one that is being read.
const BLOCKS: usize = 16;

/// The same where nothing is compressed: reading takes a fourth of the time that counting takes, and what stays in the cache
/// is read faster.
const PLAIN_BLOCKS: usize = 8;

/// Bytes that a block has room for before its own: what is left of the block before, which is less than a packet of the
/// longest kind that is common.
const HEADROOM: usize = 16 << 10;

/// How much a block is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Fewer are full than not: the reader will soon have to wait.
    Soon,
    /// One is not full.
    Some,
}

/// The inputs of a run that are read ahead: none until somebody allows it, who then does the work that there is.
#[derive(Clone, Debug, Default)]
pub struct ReadAhead(Arc<Inputs>);

#[derive(Debug, Default)]
struct Inputs {
    limit: usize,
    is_allowed: AtomicBool,
    open: Mutex<Vec<Arc<Feed>>>,
}

impl ReadAhead {
    /// At most so many inputs at a time, whatever the number of processors: more are rarely read together.
    const MAX_INPUTS: usize = 8;

    /// For a run of so many inputs.
    pub(super) fn of(inputs: usize) -> Self {
        Self(Arc::new(Inputs { limit: inputs.min(Self::MAX_INPUTS), ..Inputs::default() }))
    }

    /// Allows inputs to be read ahead from here on.
    pub fn allow(&self) {
        self.0.is_allowed.store(true, Ordering::Relaxed);
    }

    /// So many inputs are read ahead at a time, at most: as many errands there are.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// There is something to do.
    #[must_use]
    pub fn has_work(&self, need: Need) -> bool {
        self.open().iter().any(|feed| feed.lock().has_work(need))
    }

    /// Something to do, for whoever asked.
    #[must_use]
    pub fn take(&self, need: Need) -> Option<Errand> {
        self.open().iter().find_map(|feed| {
            let mut state = feed.lock();
            if state.has_work(need) { state.take(feed) } else { None }
        })
    }

    /// Adds an input, if there may be one more.
    fn add(&self, feed: &Arc<Feed>) -> bool {
        let mut open = self.open();
        let has_room = self.0.is_allowed.load(Ordering::Relaxed) && open.len() < self.0.limit;
        if has_room {
            open.push(Arc::clone(feed));
        }
        has_room
    }

    fn remove(&self, feed: &Arc<Feed>) {
        self.open().retain(|other| !Arc::ptr_eq(other, feed));
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Feed>>> {
        // nothing that panics is done while it is locked
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An input, between who reads it and who fills blocks.
struct Feed {
    block_len: usize,
    state: Mutex<State>,
    /// A block is filled, or will never be.
    changed: Condvar,
}

struct State {
    /// What makes the bytes, unless a block is being filled.
    unpacker: Option<Unpacker>,
    full: VecDeque<Parcel>,
    /// The one that was used last comes first: it may still be in a cache.
    empty: Vec<Vec<u8>>,
    /// There was nothing just now: only the reader tries again, which knows what to do about it.
    stalls: bool,
    /// Nothing comes after what is full.
    is_over: bool,
    /// The reader waits.
    is_awaited: bool,
}

/// What was made of an input.
enum Parcel {
    /// A block, and where its bytes end, which begin after [`HEADROOM`].
    Block(Vec<u8>, usize),
    /// That was all.
    End,
    /// It cannot go on.
    Failed(ReadError),
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, State> {
        // nothing that panics is done while it is locked
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is filled.
    fn wait<'f>(&self, mut state: MutexGuard<'f, State>) -> MutexGuard<'f, State> {
        state.is_awaited = true;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.is_awaited = false;
        state
    }

    /// Changes the state, and wakes the reader if it waits.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let is_awaited = state.is_awaited;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("block_len", &self.block_len).finish_non_exhaustive()
    }
}

impl State {
    /// There is a block to fill, and nobody does.
    fn has_work(&self, need: Need) -> bool {
        let least = match need {
            Need::Soon => self.full.len() + 1,
            Need::Some => 1,
        };
        self.unpacker.is_some() && !self.stalls && self.empty.len() >= least
    }

    fn take(&mut self, feed: &Arc<Feed>) -> Option<Errand> {
        let unpacker = self.unpacker.take()?;
        Some(Errand { feed: Arc::clone(feed), unpacker, block: self.empty.pop().unwrap_or_default() })
    }
}

/// A block to be filled. Whoever takes one has to run it: the reader waits for it.
#[must_use]
pub struct Errand {
    feed: Arc<Feed>,
    unpacker: Unpacker,
    block: Vec<u8>,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").field("feed", &self.feed).finish_non_exhaustive()
    }
}

impl Errand {
    /// Fills the block; from a pipe with what is there.
    pub fn run(self) {
        let Self { feed, mut unpacker, mut block } = self;
        let alarm = Alarm(&feed);
        let full_len = HEADROOM + feed.block_len;
        // a new one, or the reader's own, which it makes larger for a long packet
        if block.len() != full_len {
            block = vec![0; full_len];
        }
        let (mut end, mut stalls) = (HEADROOM, false);
        let last = loop {
            match unpacker.read(&mut block[end..]) {
                Ok(0) => break Some(Parcel::End),
                Ok(made_len) => end += made_len,
                Err(ReadError::Idle) => {
                    stalls = end == HEADROOM;
                    break None;
                }
                Err(error) => break Some(Parcel::Failed(error)),
            }
            // what there is does not wait along for what may never come
            if end == full_len || unpacker.must_read() {
                break None;
            }
        };
        drop(alarm);
        feed.change(|state| {
            match end {
                HEADROOM => state.empty.push(block),
                _ => state.full.push_back(Parcel::Block(block, end)),
            }
            state.is_over = last.is_some();
            state.full.extend(last);
            state.stalls = stalls;
            state.unpacker = (!state.is_over).then_some(unpacker);
        });
    }
}

/// Tells the reader not to wait for a block when who fills it panics; that panic then ends the run.
struct Alarm<'f>(&'f Feed);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.change(|state| state.is_over = true);
        }
    }
}

/// An input that is read, and decompressed, ahead.
pub(super) struct Ahead {
    codec: Option<Codec>,
    stop: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    feed: Arc<Feed>,
    others: ReadAhead,
    /// What is being read in pieces.
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Ahead {
    /// An input that gets its bytes by [`Ahead::begin`]. `None`: there may be no more.
    pub fn new(codec: Option<Codec>, block_len: usize, shared: &Shared, abandoned: Arc<AtomicBool>) -> Option<Self> {
        let blocks = if codec.is_none() { PLAIN_BLOCKS } else { BLOCKS };
        let state = State {
            unpacker: None,
            full: VecDeque::with_capacity(blocks + 1),
            empty: vec![Vec::new(); blocks - 1],
            stalls: false,
            is_over: false,
            is_awaited: false,
        };
        let feed = Arc::new(Feed { block_len, state: Mutex::new(state), changed: Condvar::new() });
        shared.read_ahead.add(&feed).then(|| Self {
            codec,
            stop: Arc::clone(&shared.stop),
            abandoned,
            feed,
            others: shared.read_ahead.clone(),
            block: Vec::new(),
            start: 0,
            end: 0,
        })
    }

    /// The bytes come from `unpacker` from here on.
    pub fn begin(&self, unpacker: Unpacker) {
        self.feed.lock().unpacker = Some(unpacker);
    }

    /// How the input was compressed, if it was.
    pub const fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// Takes bytes into `buffer`, which is not empty, and waits if there are none; no bytes is the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if self.start == self.end {
            let Some((block, end)) = self.next_block()? else { return Ok(0) };
            let used = std::mem::replace(&mut self.block, block);
            self.give_back(used);
            (self.start, self.end) = (HEADROOM, end);
        }
        let read_len = buffer.len().min(self.end - self.start);
        buffer[..read_len].copy_from_slice(&self.block[self.start..self.start + read_len]);
        self.start += read_len;
        Ok(read_len)
    }

    /// Puts the next block in the place of `buffer`, of which only the stretch `unread` is copied. Tells where that is now,
    /// with what has come after it; nothing has at the end. `None`: it takes a [`Ahead::read`].
    pub fn exchange(&mut self, buffer: &mut Vec<u8>, unread: Range<usize>) -> Result<Option<Range<usize>>, ReadError> {
        if self.start < self.end || unread.len() > HEADROOM {
            return Ok(None);
        }
        let Some((mut block, end)) = self.next_block()? else { return Ok(Some(unread)) };
        let start = HEADROOM - unread.len();
        block[start..HEADROOM].copy_from_slice(&buffer[unread]);
        self.give_back(std::mem::replace(buffer, block));
        Ok(Some(start..end))
    }

    /// The next block, and where its bytes end; `None` is the end of the input. Fills it, or waits for who does, if there is
    /// none.
    fn next_block(&self) -> Result<Option<(Vec<u8>, usize)>, ReadError> {
        // what was made ahead is not read either
        if self.stop.load(Ordering::Relaxed) {
            return Err(ReadError::Stopped);
        }
        let (mut state, mut has_tried) = (self.feed.lock(), false);
        loop {
            match state.full.pop_front() {
                Some(Parcel::Block(block, end)) => return Ok(Some((block, end))),
                Some(Parcel::End) => return Ok(None),
                Some(Parcel::Failed(error)) => return Err(error),
                None if state.is_over => return Ok(None),
                None if has_tried && state.stalls => return Err(ReadError::Idle),
                None => {}
            }
            state = match state.take(&self.feed) {
                Some(errand) => {
                    drop(state);
                    errand.run();
                    has_tried = true;
                    self.feed.lock()
                }
                None => self.feed.wait(state),
            };
        }
    }

    /// Has a block filled again.
    fn give_back(&self, block: Vec<u8>) {
        self.feed.lock().empty.push(block);
    }
}

impl Drop for Ahead {
    /// Waits for who fills a block: for as long as a read waits for a pipe, at most.
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.others.remove(&self.feed);
        let mut state = self.feed.lock();
        while state.unpacker.is_none() && !state.is_over {
            state = self.feed.wait(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Seek as _, Write as _};
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    use super::super::compressed::{Bytes, HERE_LEN};
    use super::super::input::Input;
    use super::super::packed::Packed;
    use super::super::testing::helped;
    use super::*;

    /// Bytes that do not compress to nothing.
    fn plain(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] & 0x3f).collect()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut encoder = flate2::bufread::GzEncoder::new(plain, flate2::Compression::fast());
        encoder.read_to_end(&mut packed).expect("memory");
        packed
    }

    /// What to do when the bytes are used up.
    enum Then {
        End,
        Stall,
        Panic,
        /// The read waits until it is told to end.
        Wait(Receiver<()>),
    }

    /// Some bytes, and then nothing good.
    struct Bad(io::Cursor<Vec<u8>>, Then);

    impl Read for Bad {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match (self.0.read(buffer)?, &self.1) {
                (0, Then::Stall) => Err(io::ErrorKind::WouldBlock.into()),
                (0, Then::Panic) => panic!("there is no more"),
                (0, Then::Wait(end)) => {
                    end.recv_timeout(Duration::from_secs(20)).expect("all that came is read before more comes");
                    Ok(0)
                }
                (read_len, _) => Ok(read_len),
            }
        }
    }

    fn shared(inputs: usize) -> Shared {
        let shared = Shared { read_ahead: ReadAhead::of(inputs), ..Shared::default() };
        shared.read_ahead.allow();
        shared
    }

    /// The gzip data `packed`, read up to where it goes on ahead, if it may.
    fn begun(packed: &[u8], then: Then, shared: &Shared) -> Bytes {
        let input = Input::new(Box::new(Bad(io::Cursor::new(packed.to_vec()), then)), shared.clone());
        let mut bytes = Bytes::decompress(Codec::Gzip, Packed::new(Vec::new(), input), 64 << 10).expect("memory");
        let mut buffer = vec![0; 8 << 10];
        let mut read_len = 0;
        while read_len <= HERE_LEN {
            read_len += bytes.read(&mut buffer).expect("sound data");
        }
        bytes
    }

    /// All bytes of `input` as they are, and whether they were read ahead in the end.
    fn read_plain(input: Input) -> (Vec<u8>, bool) {
        let (mut bytes, mut all, mut buffer) = (Bytes::plain(input, 64 << 10), Vec::new(), vec![0; 8 << 10]);
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return (all, is_ahead(&bytes)),
                Ok(read_len) => all.extend_from_slice(&buffer[..read_len]),
                Err(ReadError::Idle) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    #[test]
    fn a_long_file_is_read_ahead_and_a_pipe_is_not() {
        let content = plain(3 * HERE_LEN);
        for (len, want) in [(HERE_LEN / 2, false), (content.len(), true)] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&content[..len]).expect("room");
            file.rewind().expect("a file");
            let input = Input::from_file(file, shared(1)).expect("its type");
            let (all, is_ahead) = read_plain(input);
            assert!(all == content[..len], "{len} bytes");
            assert_eq!(is_ahead, want, "{len} bytes");
        }
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let input = Input::from_file(std::os::fd::OwnedFd::from(reader).into(), shared(1)).expect("its type");
        let (all, is_ahead) = thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&content).expect("a reader");
                drop(writer);
            });
            read_plain(input)
        });
        assert!(all == content && !is_ahead);
    }

    fn is_ahead(bytes: &Bytes) -> bool {
        matches!(bytes, Bytes::Ahead(_))
    }

    #[test]
    fn inputs_are_as_many_as_allowed_while_they_are_open() {
        let packed = gzip(&plain(4 << 20));
        let shared = shared(2);
        let begin = || begun(&packed, Then::End, &shared);
        let (one, mut two, three) = (begin(), begin(), begin());
        assert_eq!([&one, &two, &three].map(is_ahead), [true, true, false]);
        // early, with blocks that nobody took
        drop(one);
        assert!(is_ahead(&begin()), "in the place of the first");
        while two.read(&mut [0; 4_096]).expect("sound data") > 0 {}
        assert_eq!(two.read(&mut [0]).expect("the end"), 0, "again");
        let gone = begin();
        assert!(is_ahead(&gone));
        assert!(!is_ahead(&begin()), "one that was read to its end keeps its place until it is dropped");
        let nobody_helps = Shared { read_ahead: ReadAhead::of(1), ..Shared::default() };
        assert!(!is_ahead(&begun(&packed, Then::End, &nobody_helps)));
    }

    #[test]
    fn blocks_that_others_fill_are_as_many_as_there_are() {
        let plain = plain(4 << 20);
        let shared = shared(1);
        let mut bytes = begun(&gzip(&plain), Then::End, &shared);
        let fill_all = || {
            let errands = std::iter::from_fn(|| shared.read_ahead.take(Need::Some))
                .inspect(|_| assert!(!shared.read_ahead.has_work(Need::Some)));
            errands.map(Errand::run).count()
        };
        assert_eq!(fill_all(), BLOCKS - 1);
        let (mut left, mut buffer) = (Vec::new(), vec![0; 4 << 10]);
        while let Ok(read_len @ 1..) = bytes.read(&mut buffer) {
            left.extend_from_slice(&buffer[..read_len]);
            // whenever one was read
            assert!(fill_all() <= 1);
        }
        assert!(plain.ends_with(&left) && left.len() + 2 * HERE_LEN > plain.len(), "{} bytes", left.len());
    }

    #[test]
    fn what_came_before_a_stall_comes_before_it_is_told() {
        let plain = plain(1 << 20);
        let shared = shared(1);
        let mut bytes = begun(&gzip(&plain), Then::Stall, &shared);
        let (mut left, mut stalls) = (Vec::new(), 0);
        let mut buffer = vec![0; 4_096];
        helped(&shared.read_ahead, || {
            while stalls < 3 {
                match bytes.read(&mut buffer) {
                    Ok(read_len) => left.extend_from_slice(&buffer[..read_len]),
                    Err(ReadError::Idle) => stalls += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        assert!(!shared.read_ahead.has_work(Need::Some), "only the reader waits for what stalls");
        assert!(is_ahead(&bytes) && !left.is_empty() && plain.ends_with(&left), "{} bytes", left.len());
    }

    #[test]
    fn what_came_does_not_wait_for_what_follows() {
        // no multiple of a block
        let plain = plain((1 << 20) + 1_000);
        let (tell, end) = sync_channel(1);
        let shared = shared(1);
        let mut bytes = begun(&gzip(&plain), Then::Wait(end), &shared);
        let (mut left, mut buffer) = (Vec::new(), vec![0; 4_096]);
        helped(&shared.read_ahead, || {
            while !plain.ends_with(&left) || left.len() < plain.len() - HERE_LEN - (64 << 10) {
                let read_len = bytes.read(&mut buffer).expect("sound data");
                left.extend_from_slice(&buffer[..read_len]);
            }
            tell.send(()).expect("it waits");
            assert_eq!(bytes.read(&mut buffer).expect("the end"), 0);
        });
        assert!(is_ahead(&bytes));
    }

    #[test]
    fn a_stop_holds_at_once() {
        let shared = shared(1);
        let mut bytes = begun(&gzip(&plain(4 << 20)), Then::End, &shared);
        // the block that is being read is read to its end
        shared.stop.store(true, Ordering::Relaxed);
        let mut read_len = 0;
        let end = loop {
            match bytes.read(&mut [0; 4_096]) {
                Ok(more) => read_len += more,
                Err(error) => break error,
            }
        };
        assert!(is_ahead(&bytes) && matches!(end, ReadError::Stopped), "{end:?}");
        assert!(read_len <= 64 << 10, "{read_len} bytes");
    }

    #[test]
    fn a_stalled_pipe_can_be_dropped_and_stopped() {
        use std::fs::File;
        use std::io::Write as _;
        use std::os::fd::OwnedFd;

        let packed = gzip(&plain(1 << 20));
        for is_stopped in [false, true] {
            let (reader, mut writer) = io::pipe().expect("a pipe");
            let shared = shared(1);
            let input = Input::from_file(File::from(OwnedFd::from(reader)), shared.clone()).expect("its type");
            let mut bytes = Bytes::decompress(Codec::Gzip, Packed::new(Vec::new(), input), 64 << 10).expect("memory");
            thread::scope(|scope| {
                // it stays open: nobody knows whether more will come
                let writing = scope.spawn(|| writer.write_all(&packed));
                let end = loop {
                    match bytes.read(&mut [0; 4_096]) {
                        Ok(read_len) => assert!(read_len > 0, "the pipe is open"),
                        Err(ReadError::Idle) if is_ahead(&bytes) && is_stopped => {
                            shared.stop.store(true, Ordering::Relaxed);
                        }
                        Err(ReadError::Idle) if is_ahead(&bytes) => break ReadError::Idle,
                        Err(ReadError::Idle) => {}
                        Err(error) => break error,
                    }
                };
                assert_eq!(matches!(end, ReadError::Stopped), is_stopped, "{end:?}");
                writing.join().expect("no panic").expect("a reader");
            });
            drop(bytes);
            assert!(writer.write_all(b"more").is_err(), "nobody reads any more");
        }
    }

    #[test]
    #[should_panic(expected = "there is no more")]
    fn a_panic_of_the_input_is_one_of_its_reader() {
        let mut bytes = begun(&gzip(&plain(1 << 20)), Then::Panic, &shared(1));
        while let Ok(1..) = bytes.read(&mut [0; 4_096]) {}
    }

    #[test]
    fn nobody_waits_for_who_panics() {
        let shared = shared(1);
        let mut bytes = begun(&gzip(&plain(1 << 20)), Then::Panic, &shared);
        let fill_all = || std::iter::from_fn(|| shared.read_ahead.take(Need::Some)).for_each(Errand::run);
        thread::scope(|scope| {
            scope.spawn(fill_all).join().expect_err("the input panics");
            while bytes.read(&mut [0; 4_096]).expect("the blocks before") > 0 {}
        });
        drop(bytes);
    }
}
