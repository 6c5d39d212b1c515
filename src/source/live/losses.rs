//! What the kernel and the interface did not hand over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use pcap::{Active, Capture};

/// What was counted outside since the last time that somebody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Losses {
    /// Packets that passed the filter, those that were dropped included.
    pub received: u64,
    /// Packets that the kernel dropped because the ring was full.
    pub kernel: u64,
    /// Packets that the interface or its driver dropped; `None` where nobody counts them.
    pub interface: Option<u64>,
}

impl Losses {
    /// Nothing was lost.
    pub const NONE: Self = Self { received: 0, kernel: 0, interface: Some(0) };
}

/// Asks for the counters, and turns them into differences that add up.
#[derive(Debug)]
pub(super) struct LossCounters {
    period: Duration,
    due: Instant,
    /// libpcap's counters when they were last read: 32 bits, which wrap.
    last_received: u32,
    last_dropped: u32,
    statistics: Option<Statistics>,
    last_interface: u64,
    pending: Losses,
}

impl LossCounters {
    /// Counters that are read at each multiple of `period` since the Unix epoch, so that they belong to the interval that
    /// ends there.
    pub(super) fn new(period: Duration) -> Self {
        Self {
            period,
            due: Instant::now(),
            last_received: 0,
            last_dropped: 0,
            statistics: None,
            last_interface: 0,
            pending: Losses::NONE,
        }
    }

    /// A capture of `name` begins: what its counters and those of the interface have until now is not of it.
    pub(super) fn begin(&mut self, capture: &mut Capture<Active>, name: &str, index: Option<i32>) {
        (self.last_received, self.last_dropped) = capture.stats().map_or((0, 0), |stat| (stat.received, stat.dropped));
        self.statistics = index.and_then(|index| Statistics::open(name, index).ok());
        match self.statistics.as_ref().and_then(Statistics::dropped) {
            Some(dropped) => self.last_interface = dropped,
            None => self.pending.interface = None,
        }
    }

    /// Reads the counters when the end of a period has passed.
    pub(super) fn read_when_due(&mut self, capture: &mut Capture<Active>) {
        let now = Instant::now();
        if now >= self.due {
            self.read(capture);
            let wall = super::now();
            let end = wall.floor_to(self.period).saturating_add(self.period);
            self.due = now + Duration::from_nanos(end.nanos_since(wall));
        }
    }

    /// Reads the counters.
    pub(super) fn read(&mut self, capture: &mut Capture<Active>) {
        if let Ok(stat) = capture.stats() {
            self.pending.received += u64::from(stat.received.wrapping_sub(self.last_received));
            self.pending.kernel += u64::from(stat.dropped.wrapping_sub(self.last_dropped));
            (self.last_received, self.last_dropped) = (stat.received, stat.dropped);
        }
        if let Some(dropped) = self.statistics.as_ref().and_then(Statistics::dropped)
            && let Some(count) = &mut self.pending.interface
        {
            *count += dropped.saturating_sub(self.last_interface);
            self.last_interface = dropped;
        }
    }

    /// What was counted since the last call.
    pub(super) fn take(&mut self) -> Losses {
        let none = Losses { interface: self.pending.interface.map(|_| 0), ..Losses::NONE };
        std::mem::replace(&mut self.pending, none)
    }
}

/// The kernel's statistics of an interface: files that are read again and again, so that the process need not be able to
/// open them. libpcap has the sum of the two, but only in promiscuous mode, and opens them each time.
#[derive(Debug)]
struct Statistics {
    missed: File,
    overrun: File,
}

impl Statistics {
    /// Those of the interface called `name`. Where another network namespace's system files are mounted, its number is not
    /// `index`.
    fn open(name: &str, index: i32) -> io::Result<Self> {
        let folder = format!("/sys/class/net/{name}");
        let found = std::fs::read_to_string(format!("{folder}/ifindex"))?;
        if found.trim().parse() != Ok(index) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let open = |counter| File::open(format!("{folder}/statistics/{counter}"));
        Ok(Self { missed: open("rx_missed_errors")?, overrun: open("rx_fifo_errors")? })
    }

    /// Packets that the interface had no room for; `None` once it is gone.
    fn dropped(&self) -> Option<u64> {
        let read = |file: &File| {
            let mut text = [0; 24];
            let len = file.read_at(&mut text, 0).ok()?;
            std::str::from_utf8(text.get(..len)?).ok()?.trim().parse::<u64>().ok()
        };
        Some(read(&self.missed)?.wrapping_add(read(&self.overrun)?))
    }
}
