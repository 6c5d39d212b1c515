//! What was lost of a live capture, by interface.

use crate::snapshot::{Drops, InterfaceDrops, SourceInfo, SourceKind};
use crate::source::live::Losses;

/// What was lost of each interface, in all and in the open interval.
#[derive(Debug)]
pub(super) struct LossLedger {
    /// Empty for files, which do not tell.
    interfaces: Vec<String>,
    total: Vec<InterfaceDrops>,
    interval: Vec<InterfaceDrops>,
}

impl LossLedger {
    /// Nothing is lost of this source yet.
    pub fn new(source: &SourceInfo) -> Self {
        let interfaces = match source.kind {
            SourceKind::File => Vec::new(),
            SourceKind::Live => source.names.clone(),
        };
        let none = vec![InterfaceDrops { kernel: Some(0), interface: Some(0) }; interfaces.len()];
        Self { interfaces, total: none.clone(), interval: none }
    }

    /// Takes note of packets that were lost of an interface, by its place in the source's names.
    pub fn count(&mut self, interface: usize, losses: &Losses) {
        for drops in [&mut self.total, &mut self.interval] {
            let Some(drops) = drops.get_mut(interface) else { continue };
            drops.kernel = drops.kernel.map(|kernel| kernel + losses.kernel);
            drops.interface = drops.interface.zip(losses.interface).map(|(sum, interface)| sum + interface);
        }
    }

    /// In all.
    pub fn total(&self) -> Drops {
        self.sum(&self.total)
    }

    /// In the open interval, after which another one begins.
    pub fn take_interval(&mut self) -> Drops {
        let drops = self.sum(&self.interval);
        for drops in &mut self.interval {
            (drops.kernel, drops.interface) = (drops.kernel.map(|_| 0), drops.interface.map(|_| 0));
        }
        drops
    }

    fn sum(&self, drops: &[InterfaceDrops]) -> Drops {
        if self.interfaces.is_empty() {
            return Drops::default();
        }
        let sum = |of: fn(&InterfaceDrops) -> Option<u64>| drops.iter().filter_map(of).reduce(|sum, one| sum + one);
        let named = self.interfaces.iter().cloned().zip(drops.iter().copied()).collect();
        Drops { kernel: sum(|one| one.kernel), interface: sum(|one| one.interface), interfaces: Some(named) }
    }
}
