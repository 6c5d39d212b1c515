//! Packets are read from the ring: what is there, as many as a batch takes, and what a silent interface can say.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use pcap::{Active, Capture, Packet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::{Frame, Interface, Pause, Source};
use super::{Device, LiveTrouble, SETTLED, State, WAIT, now};
use crate::units::{LinkType, Timestamp};

/// Packets that libpcap is asked for at once: so many may come after whoever takes them has enough.
const AT_ONCE: usize = 64;
/// How long packets gather, at most, once there are some.
const GATHER: Duration = Duration::from_millis(25);
/// How fast the ring may fill while packets gather, in bytes a nanosecond: twice as fast as the smallest Ethernet frames fill
/// it at 10 Gbit/s, each of which takes 144 bytes there.
const FILLED_PER_NANO: u64 = 4;

impl Source for Device {
    type Error = LiveTrouble;

    /// Passes on what is there, at most as many packets as a batch takes; waits for a moment when there is nothing.
    fn read(
        &mut self,
        take: &mut impl FnMut(&Frame<'_>, &[Interface]) -> ControlFlow<()>,
    ) -> Result<Pause, LiveTrouble> {
        if self.together.stop.load(Ordering::Relaxed) {
            self.begin_to_end();
        } else {
            self.look();
        }
        while !self.troubles.is_empty() {
            let trouble = self.troubles.remove(0);
            let is_of_all = !matches!(trouble, LiveTrouble::Oversize { .. });
            if !is_of_all || self.sharing.as_ref().is_none_or(|sharing| sharing.tells) {
                return Err(trouble);
            }
        }
        let gather = GATHER.min(Duration::from_nanos(u64::from(self.options.buffer_bytes) / FILLED_PER_NANO));
        let (capture, until) = match &mut self.state {
            State::Open(capture) => (capture, None),
            State::Draining { capture, until, .. } => (capture, Some(*until)),
            State::Gone => {
                thread::park_timeout(WAIT);
                self.through = Some(settled());
                return Ok(Pause::Idle);
            }
            State::Ended => return Ok(Pause::End),
        };
        let (interfaces, longest) = (self.interface.as_slice(), self.longest);
        let link = interfaces.first().map_or(LinkType::ETHERNET, |interface| interface.link);
        let mut seen = Seen { since: self.begun.map_or(Timestamp::MIN, |(begun, _)| begun), ..Seen::default() };
        let mut handle = |seen: &mut Seen, packet: &Packet<'_>| {
            let header = packet.header;
            // for this precision, libpcap's microseconds are nanoseconds
            let nanos = header.ts.tv_sec.saturating_mul(1_000_000_000).saturating_add(header.ts.tv_usec);
            let ts = Timestamp::from_nanos(nanos);
            seen.last_ts = Some(ts);
            if ts < seen.since {
                return;
            }
            seen.since = Timestamp::MIN; // from here on the clock may be set back
            let frame = Frame { ts, wire_len: header.len, link, interface: 0, data: packet.data };
            seen.is_oversize |= header.len > longest;
            seen.enough |= take(&frame, interfaces).is_break();
        };
        let mut idle_through = None;
        let failed = loop {
            // what is not there now was captured later
            let settled = settled();
            match capture.dispatch(Some(AT_ONCE), |packet| handle(&mut seen, &packet)) {
                Ok(0) if seen.last_ts.is_none() && idle_through.is_none() => {
                    wait_for_packets(capture, if until.is_none() { gather } else { Duration::ZERO });
                }
                Ok(1..) if !seen.enough => {}
                taken => {
                    idle_through = Some(settled);
                    break taken.is_err();
                }
            }
            idle_through = Some(settled);
        };
        self.through = seen.last_ts.or(idle_through);
        self.begun = self.begun.filter(|(_, begun)| match seen.last_ts {
            Some(_) => seen.since > Timestamp::MIN,
            None => begun.elapsed() < SETTLED,
        });
        if seen.is_oversize {
            self.longest = u32::MAX;
            if !self.told_oversize.swap(true, Ordering::Relaxed) {
                let mtu = self.link.map_or(0, |link| link.mtu);
                self.troubles.push(LiveTrouble::Oversize { name: Arc::clone(&self.name), mtu });
            }
        }
        if !failed {
            self.failures = 0;
        }
        match until {
            None if failed => self.fail(),
            Some(until) if seen.last_ts.is_none() && Instant::now() >= until => self.close(),
            // what is wrong is known, and the last block may not have been handed over yet
            Some(_) if failed => thread::park_timeout(WAIT),
            _ => {}
        }
        Ok(if seen.last_ts.is_some() { Pause::Enough } else { Pause::Idle })
    }

    fn is_readable(&self) -> bool {
        true
    }
}

/// What one reading has brought.
#[derive(Default)]
struct Seen {
    /// Packets from before this are not of the capture.
    since: Timestamp,
    /// When the last packet was captured.
    last_ts: Option<Timestamp>,
    /// A packet was longer than the interface could send.
    is_oversize: bool,
    /// Whoever takes the packets has enough.
    enough: bool,
}

/// Waits a moment for a silent interface; once there are packets, for more to gather.
///
/// What counting needs comes from memory once for all packets of a reading, so that few large readings take less time than
/// many small ones. The ring was empty: until it is read, it fills by no more than its size.
fn wait_for_packets(capture: &Capture<Active>, gather: Duration) {
    let wait = Timespec { tv_sec: 0, tv_nsec: WAIT.subsec_nanos().into() };
    // an error of the descriptor is told by the next reading
    if let Ok(1..) = poll(&mut [PollFd::new(capture, PollFlags::IN)], Some(&wait)) {
        thread::sleep(gather);
    }
}

/// Everything that was captured before this, and can be, was handed over.
fn settled() -> Timestamp {
    now().saturating_sub(SETTLED)
}
