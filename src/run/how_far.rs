//! How far the reading of captures is, for whoever asks by a signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the reading of captures is.
#[derive(Debug)]
pub struct HowFar {
    /// Somebody wants to know; reset when it is said.
    pub asked: Arc<AtomicBool>,
    /// Packets that were read, of those that are wanted.
    pub packets: Arc<AtomicU64>,
    /// Bytes that were read, as they are on disk or in the pipe.
    pub bytes: Arc<AtomicU64>,
    /// Bytes that there are in all, where that is known.
    pub total_bytes: Option<u64>,
}

impl HowFar {
    /// What to say, if somebody has asked.
    pub(super) fn answer(&self) -> Option<[String; 2]> {
        self.asked.swap(false, Ordering::Relaxed).then(|| self.lines())
    }

    /// In the manner of tcpdump(1) and dd(1).
    fn lines(&self) -> [String; 2] {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (packets, bytes) = (get(&self.packets), get(&self.bytes));
        let packets = format!("{packets} packet{} read", if packets == 1 { "" } else { "s" });
        let bytes = match self.total_bytes {
            Some(total) => format!("{bytes} of {total} bytes read"),
            None => format!("{bytes} bytes read"),
        };
        [packets, bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_once() {
        let how_far = |total_bytes| HowFar {
            asked: Arc::new(true.into()),
            packets: Arc::new(1.into()),
            bytes: Arc::new(54.into()),
            total_bytes,
        };
        let file = how_far(Some(108));
        assert_eq!(file.answer(), Some(["1 packet read".to_owned(), "54 of 108 bytes read".to_owned()]));
        assert_eq!(file.answer(), None);
        file.packets.store(0, Ordering::Relaxed);
        file.asked.store(true, Ordering::Relaxed);
        assert_eq!(file.answer().map(|[packets, _]| packets).as_deref(), Some("0 packets read"));
        assert_eq!(how_far(None).answer(), Some(["1 packet read".to_owned(), "54 bytes read".to_owned()]));
    }
}
