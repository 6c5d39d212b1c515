//! Memory that few inputs need: for packets longer than a block, and for what zstd looks back on. One input takes little of
//! what there is; a folder of them, open together, could ask for any amount.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many bytes there are for all inputs that are open together: eight of the longest packets.
const ROOM_BYTES: u64 = 1 << 30;

/// What there is for all.
#[derive(Clone, Debug)]
pub(super) struct Room {
    left_bytes: Arc<AtomicU64>,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(ROOM_BYTES)
    }
}

impl Room {
    fn of(bytes: u64) -> Self {
        Self { left_bytes: Arc::new(bytes.into()) }
    }

    /// Nothing, to begin with.
    pub fn share(&self) -> Share {
        Share { room: self.clone(), bytes: 0 }
    }
}

/// What one input has of it, until it is closed.
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    bytes: u64,
}

/// There is not as much left.
#[derive(Debug, thiserror::Error)]
#[error(
    "it takes {bytes} bytes of memory, and inputs that are open together have no more than 1 GiB beyond the usual: read it by itself"
)]
pub(super) struct NoRoom {
    bytes: u64,
}

impl Share {
    /// Has so many bytes from here on, unless it has more.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let more = bytes.saturating_sub(self.bytes);
        let take = |left: u64| left.checked_sub(more);
        let taken = self.room.left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map_err(|_| NoRoom { bytes })?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.left_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let room = Room::of(10);
        let [mut a, mut b] = [room.share(), room.share()];
        a.grow_to(7).expect("room");
        a.grow_to(5).expect("it has as much");
        b.grow_to(3).expect("the rest");
        assert!(b.grow_to(4).is_err() && a.grow_to(8).is_err());
        drop(b);
        a.grow_to(10).expect("all of it");
        drop(a);
        assert_eq!(room.left_bytes.load(Ordering::Relaxed), 10);
    }
}
