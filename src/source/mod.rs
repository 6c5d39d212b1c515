//! Where frames come from: capture files of every container and compression, in time order, and live interfaces.
//!
//! Everything here ends in a [`Frame`]: what was on the wire, when, and of which link type. Container records are read
//! by our own readers, because they are the packet path; `pcap`, the crate, captures, and compiles filters.

mod ahead;
mod bpf;
mod compressed;
mod description;
mod error;
mod filter;
mod foreign;
mod input;
mod listeners;
pub mod live;
mod lz4;
mod order;
mod packed;
mod pcap;
mod pcapng;
mod reader;
mod record;
mod resolve;
mod room;
mod save;
mod skippable;
mod snoop;
mod stream;
#[cfg(test)]
mod testing;

pub use ahead::{Errand, Need, ReadAhead};
pub use error::{Codec, Damage, Fault, Position, Severity, SourceError};
pub use filter::{Filter, FilterError};
pub use foreign::Foreign;
pub use listeners::{LISTENERS_INTERVAL, ListenerSet, Listeners, ListenersError};
pub use order::Files;
pub use save::{Save, SaveError};

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::units::{LinkType, Timestamp};

/// One captured packet, borrowed from the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When the packet was captured.
    pub ts: Timestamp,
    /// Bytes on the wire, link header included, as the capture says; `data` may be shorter (snap length).
    pub wire_len: u32,
    /// What the first byte of `data` is. It may differ from frame to frame: pcapng mixes interfaces.
    pub link: LinkType,
    /// Which interface saw it: an index into the interfaces of its source.
    pub interface: u32,
    /// The bytes that were captured.
    pub data: &'a [u8],
}

/// What a source has to say when it is asked for one packet.
#[derive(Debug)]
pub enum Next<'a> {
    /// A packet.
    Frame(Frame<'a>),
    /// Nothing to read just now, but more may come (a pipe that stalls): what was read so far can be passed on.
    Idle,
    /// Everything was read.
    End,
}

/// Why a source passes no more packets on for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Whoever takes them has enough.
    Enough,
    /// Nothing to read just now, but more may come.
    Idle,
    /// Everything was read.
    End,
}

/// Something that packets come from.
pub trait Source {
    /// What can go wrong with an input, or happen to it.
    type Error;

    /// Passes packets on, each with the interfaces that are known so far, until `take` breaks off, or there are none
    /// just now, or no more. Packets come this way, and not one by one, because then a packet that is found, decoded and
    /// put into a batch never leaves the registers of the processor.
    ///
    /// # Errors
    /// Something is wrong with one input, or has happened to it. The next call goes on with what is left; whoever calls
    /// reports the error and remembers it for the exit code.
    fn read(
        &mut self,
        take: &mut impl FnMut(&Frame<'_>, &[Interface]) -> ControlFlow<()>,
    ) -> Result<Pause, Self::Error>;

    /// At least one input could be read, be it only in part.
    fn is_readable(&self) -> bool;

    /// What may be read before packets of it are asked for; nothing of a live source.
    fn read_ahead(&self) -> ReadAhead {
        ReadAhead::default()
    }
}

/// A capturing interface, as the container describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The input that it belongs to, as the user named it.
    pub input: Arc<str>,
    /// Its own name, where the capture has one.
    pub own_name: Option<Box<str>>,
    /// Link type of its packets.
    pub link: LinkType,
    /// The longest capture of a packet, in bytes; 0 when there is no limit.
    pub snap_len: u32,
}

impl Interface {
    /// Its name among those of all inputs: `day.pcapng` or `day.pcapng: eth0`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.own_name {
            Some(own_name) => format!("{}: {own_name}", self.input),
            None => self.input.to_string(),
        }
    }
}
