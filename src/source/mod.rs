//! Where frames come from: capture files of every container and compression, in time order.
//!
//! Everything here ends in a [`Frame`]: what was on the wire, when, and of which link type. Container records are read
//! by our own readers, because they are the packet path; `pcap`, the crate, is used for nothing but compiling filters.

mod bpf;
mod compressed;
mod description;
mod error;
mod filter;
mod foreign;
mod input;
mod lz4;
mod order;
mod packed;
mod pcap;
mod pcapng;
mod reader;
mod record;
mod resolve;
mod save;
mod stream;
#[cfg(test)]
mod testing;

pub use error::{Codec, Damage, Fault, Position, Severity, SourceError};
pub use filter::{Filter, FilterError};
pub use foreign::Foreign;
pub use order::Files;
pub use save::{Save, SaveError};

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
    /// Which interface saw it: an index into [`Source::interfaces`].
    pub interface: u32,
    /// The bytes that were captured.
    pub data: &'a [u8],
}

/// What a source has to say next.
#[derive(Debug)]
pub enum Next<'a> {
    /// A packet.
    Frame(Frame<'a>),
    /// Nothing to read just now, but more may come (a pipe that stalls): what was read so far can be passed on.
    Idle,
    /// Everything was read.
    End,
}

/// Something that packets come from.
pub trait Source {
    /// The next packet.
    ///
    /// # Errors
    /// Something is wrong with one input. It is closed by that, and the next call goes on with the others; whoever
    /// calls reports the error and remembers it for the exit code.
    fn next(&mut self) -> Result<Next<'_>, SourceError>;

    /// The interfaces that frames refer to. It only grows.
    fn interfaces(&self) -> &[Interface];
}

/// A capturing interface, as the container describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The input that it belongs to, as the user named it, and the interface's own name where the capture has one:
    /// `day.pcapng` or `day.pcapng: eth0`.
    pub name: String,
    /// Link type of its packets.
    pub link: LinkType,
    /// The longest capture of a packet, in bytes; 0 when there is no limit.
    pub snap_len: u32,
}
