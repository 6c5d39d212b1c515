//! Reading and decompression ahead of who wants the bytes, on a thread of their own: blocks of bytes come from there, and
//! empty ones go back.

use std::ops::Range;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::compressed::Unpacker;
use super::error::Codec;
use super::input::{ReadError, Shared};

/// Blocks of one input. The reader has one; the others let both threads work while one of them waits for a processor.
const BLOCKS: usize = 16;

/// The same where nothing is compressed: reading takes a fourth of the time that counting takes, and what stays in the cache
/// is read faster.
const PLAIN_BLOCKS: usize = 8;

/// Bytes that a block has room for before its own: what is left of the block before, which is less than a packet of the
/// longest kind that is common.
const HEADROOM: usize = 16 << 10;

/// How many threads may still be started, of all that a run has.
#[derive(Clone, Debug, Default)]
pub(super) struct Helpers(Arc<AtomicUsize>);

impl Helpers {
    /// The most there are, whatever the number of processors: more inputs are rarely read at the same time.
    const LIMIT: usize = 8;

    /// Allows as many threads as there are processors that the reader leaves idle.
    pub fn allow(&self) {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        self.allow_up_to((processors - 1).min(Self::LIMIT));
    }

    /// Allows so many threads.
    pub fn allow_up_to(&self, threads: usize) {
        self.0.store(threads, Ordering::Relaxed);
    }

    /// One of them, if there is one left.
    fn take(&self) -> Option<Helper> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok().then(|| Helper(Arc::clone(&self.0)))
    }
}

/// A thread that may be started, or was; another may be in its place when it is dropped.
struct Helper(Arc<AtomicUsize>);

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the thread says.
enum Parcel {
    /// A block, and where its bytes end, which begin after [`HEADROOM`].
    Block(Vec<u8>, usize),
    /// There is nothing just now.
    Idle,
    /// That was all.
    End,
    /// It cannot go on.
    Failed(ReadError),
}

/// An input that is read, and decompressed, on a thread of its own. The thread ends with the input, or when this is dropped.
pub(super) struct Ahead {
    codec: Option<Codec>,
    stop: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    /// From the thread, and empty blocks back to it; `None` when it is to end.
    link: Option<(Receiver<Parcel>, SyncSender<Vec<u8>>)>,
    /// What is being read in pieces.
    block: Vec<u8>,
    start: usize,
    end: usize,
    thread: Option<JoinHandle<()>>,
    _helper: Helper,
}

impl Ahead {
    /// Starts a thread, which waits for the decompressor that is to be sent there. `None`: there may be no more threads, or
    /// the system has none.
    pub fn start(
        codec: Option<Codec>,
        block_len: usize,
        shared: &Shared,
        abandoned: Arc<AtomicBool>,
    ) -> Option<(Self, SyncSender<Unpacker>)> {
        let helper = shared.helpers.take()?;
        let (hand_over, handed_over) = sync_channel(1);
        // with room for what follows the last block
        let (full, parcels) = sync_channel(BLOCKS + 1);
        let (empty, to_fill) = sync_channel(BLOCKS);
        let work = move || {
            if let Ok(unpacker) = handed_over.recv() {
                unpack(unpacker, block_len, &to_fill, &full);
            }
        };
        let thread = thread::Builder::new().name("ahead".to_owned()).spawn(work).ok()?;
        let blocks = if codec.is_none() { PLAIN_BLOCKS } else { BLOCKS };
        for _ in 1..blocks {
            drop(empty.try_send(Vec::new()));
        }
        let ahead = Self {
            codec,
            stop: Arc::clone(&shared.stop),
            abandoned,
            link: Some((parcels, empty)),
            block: Vec::new(),
            start: 0,
            end: 0,
            thread: Some(thread),
            _helper: helper,
        };
        Some((ahead, hand_over))
    }

    /// How the input was compressed, if it was.
    pub const fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// Takes bytes into `buffer`, which is not empty, and waits for the thread if it has none; no bytes is the end.
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

    /// Waits for the next block, and tells where its bytes end; `None` is the end of the input.
    fn next_block(&mut self) -> Result<Option<(Vec<u8>, usize)>, ReadError> {
        // what was made ahead is not read either
        if self.stop.load(Ordering::Relaxed) {
            return Err(ReadError::Stopped);
        }
        let Some((parcels, _)) = &self.link else { return Ok(None) };
        match parcels.recv() {
            Ok(Parcel::Block(block, end)) => Ok(Some((block, end))),
            Ok(Parcel::Idle) => Err(ReadError::Idle),
            Ok(Parcel::Failed(error)) => Err(error),
            Ok(Parcel::End) => Ok(None),
            // it is gone: after the end that it told, or by a panic
            Err(_) => match self.end_thread() {
                Ok(()) => Ok(None),
                Err(panicked) => panic::resume_unwind(panicked),
            },
        }
    }

    /// Has a block filled again.
    fn give_back(&self, block: Vec<u8>) {
        if let Some((_, empty)) = &self.link {
            // there is room for all of them; the thread may have ended with the last
            drop(empty.try_send(block));
        }
    }

    /// Has the thread end and waits for that: for as long as a read waits for a pipe, at most. Tells of its panic.
    fn end_thread(&mut self) -> thread::Result<()> {
        self.abandoned.store(true, Ordering::Relaxed);
        self.link = None;
        self.thread.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // a panic has been reported by then, and nobody wants what it kept from coming
        drop(self.end_thread());
    }
}

/// What the thread does: fills blocks until the input ends or nobody wants more.
fn unpack(mut unpacker: Unpacker, block_len: usize, to_fill: &Receiver<Vec<u8>>, full: &SyncSender<Parcel>) {
    let full_len = HEADROOM + block_len;
    while let Ok(mut block) = to_fill.recv() {
        // a new one, or the reader's own, which it makes larger for a long packet
        if block.len() != full_len {
            block = vec![0; full_len];
        }
        let mut end = HEADROOM;
        let last = loop {
            match unpacker.read(&mut block[end..]) {
                Ok(0) => break Some(Parcel::End),
                Ok(made_len) => end += made_len,
                Err(ReadError::Idle) if end == HEADROOM => match full.try_send(Parcel::Idle) {
                    // a reader that has something left to take need not know
                    Ok(()) | Err(TrySendError::Full(_)) => continue,
                    Err(TrySendError::Disconnected(_)) => return,
                },
                Err(ReadError::Idle) => break None,
                Err(error) => break Some(Parcel::Failed(error)),
            }
            // what there is does not wait along for what may never come
            if end == full_len || unpacker.must_read() {
                break None;
            }
        };
        if end > HEADROOM && full.send(Parcel::Block(block, end)).is_err() {
            return;
        }
        if let Some(last) = last {
            drop(full.send(last));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Seek as _, Write as _};
    use std::time::Duration;

    use super::super::compressed::{Bytes, HERE_LEN};
    use super::super::input::Input;
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
    struct Feed(io::Cursor<Vec<u8>>, Then);

    impl Read for Feed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match (self.0.read(buffer)?, &self.1) {
                (0, Then::Stall) => Err(io::ErrorKind::WouldBlock.into()),
                (0, Then::Panic) => panic!("the feed is at its end"),
                (0, Then::Wait(end)) => {
                    end.recv_timeout(Duration::from_secs(20)).expect("all that came is read before more comes");
                    Ok(0)
                }
                (read_len, _) => Ok(read_len),
            }
        }
    }

    fn shared(helpers: usize) -> Shared {
        let shared = Shared::default();
        shared.helpers.allow_up_to(helpers);
        shared
    }

    /// The gzip data `packed`, read up to where a thread goes on, if there may be one.
    fn begun(packed: &[u8], then: Then, shared: &Shared) -> Bytes {
        let input = Input::new(Box::new(Feed(io::Cursor::new(packed.to_vec()), then)), shared.clone());
        let mut bytes = Bytes::decompress(Codec::Gzip, Vec::new(), input, 64 << 10).expect("memory");
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
    fn threads_are_as_many_as_allowed_and_end_with_their_inputs() {
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
    }

    #[test]
    fn what_came_before_a_stall_comes_before_it_is_told() {
        let plain = plain(1 << 20);
        let mut bytes = begun(&gzip(&plain), Then::Stall, &shared(1));
        let (mut left, mut stalls) = (Vec::new(), 0);
        let mut buffer = vec![0; 4_096];
        while stalls < 3 {
            match bytes.read(&mut buffer) {
                Ok(read_len) => left.extend_from_slice(&buffer[..read_len]),
                Err(ReadError::Idle) => stalls += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(is_ahead(&bytes) && !left.is_empty() && plain.ends_with(&left), "{} bytes", left.len());
    }

    #[test]
    fn what_came_does_not_wait_for_what_follows() {
        // no multiple of a block
        let plain = plain((1 << 20) + 1_000);
        let (tell, end) = sync_channel(1);
        let mut bytes = begun(&gzip(&plain), Then::Wait(end), &shared(1));
        let (mut left, mut buffer) = (Vec::new(), vec![0; 4_096]);
        while !plain.ends_with(&left) || left.len() < plain.len() - HERE_LEN - (64 << 10) {
            let read_len = bytes.read(&mut buffer).expect("sound data");
            left.extend_from_slice(&buffer[..read_len]);
        }
        tell.send(()).expect("it waits");
        assert_eq!(bytes.read(&mut buffer).expect("the end"), 0);
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
            let mut bytes = Bytes::decompress(Codec::Gzip, Vec::new(), input, 64 << 10).expect("memory");
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
            assert!(shared.helpers.take().is_some(), "its place is free");
            assert!(writer.write_all(b"more").is_err(), "nobody reads any more: the thread is gone");
        }
    }

    #[test]
    #[should_panic(expected = "the feed is at its end")]
    fn a_panic_there_is_one_here() {
        let mut bytes = begun(&gzip(&plain(1 << 20)), Then::Panic, &shared(1));
        while let Ok(1..) = bytes.read(&mut [0; 4_096]) {}
    }
}
