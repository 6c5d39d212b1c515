//! What each packet is counted under: flows get their names here, in the order of packets.
//!
//! This comes before counting, for many packets at once, so that where they are counted is known early enough to ask for the
//! memory ahead.

use std::ops::Range;

use super::trail::{Happened, Mark, Step, Trail};
use crate::decode::Portless;
use crate::flow::{Header, Packet, Side, Slot};
use crate::memory::{prefetch, room_for};
use crate::services::{End, Ends, Labeller, Registry};
use crate::stats::{CellKey, Posting, Stats};

/// How many packets go together through each of the steps of counting.
const GROUP: usize = 16;

/// Accounts and cells of so many bytes stay in a cache near the processor by themselves.
const NEAR_BYTES: usize = 256 << 10;

/// How many of the packets that start a flow or accept a connection are made ready ahead.
const OPENINGS_AHEAD: usize = 4;

/// What a flow is counted under: the number of a cell, and in the upper bits which end serves and how the flow began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account(u32);

impl Account {
    const SERVER_IS_HIGH: u32 = 1 << 31;
    const BEGUN_BY_CLIENT: u32 = 1 << 30;
    const IS_OPENED: u32 = 1 << 29;

    /// The flow whose label says that `server` serves. Its first packet was of `sender`, and `opens` a connection.
    fn new(cell: u32, server: Side, sender: Side, opens: bool) -> Self {
        let by_client = sender != server;
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        debug_assert!(cell < Self::IS_OPENED);
        Self(
            cell | flag(server == Side::High, Self::SERVER_IS_HIGH)
                | flag(by_client, Self::BEGUN_BY_CLIENT)
                | flag(by_client && opens, Self::IS_OPENED),
        )
    }

    /// Where its packets are counted.
    #[inline(always)]
    pub const fn cell(self) -> u32 {
        self.0 & (Self::IS_OPENED - 1)
    }

    /// The end that serves.
    #[inline(always)]
    pub const fn server(self) -> Side {
        if self.0 & Self::SERVER_IS_HIGH == 0 { Side::Low } else { Side::High }
    }

    /// The first packet was the client's.
    pub const fn is_begun_by_client(self) -> bool {
        self.0 & Self::BEGUN_BY_CLIENT != 0
    }

    /// The first packet was the client's, and opened a connection.
    const fn is_opened(self) -> bool {
        self.0 & Self::IS_OPENED != 0
    }
}

/// What there is to count of some packets, and of what happened between them.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// One for each packet, and a margin of [`Stats::AHEAD`].
    pub packets: Vec<Posting>,
    /// What each mark is about; any account for one that is not about a flow.
    pub accounts: Vec<Account>,
}

/// Some of the steps and marks of a trail, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub steps: Range<usize>,
    pub marks: Range<usize>,
    /// The openings among its steps.
    pub openings: Range<usize>,
}

/// The accounts of all flows.
#[derive(Debug)]
pub(super) struct Accounts {
    labeller: Labeller,
    /// By the slot of their flow. The first is nobody's, and always there.
    accounts: Vec<Account>,
}

impl Accounts {
    pub fn new(registry: Registry, max_flows: usize) -> Self {
        let mut accounts = room_for(max_flows.saturating_add(1));
        accounts.push(Account::default());
        Self { labeller: Labeller::new(registry), accounts }
    }

    pub const fn labeller(&self) -> &Labeller {
        &self.labeller
    }

    pub const fn labeller_mut(&mut self) -> &mut Labeller {
        &mut self.labeller
    }

    /// Counts the packets of a part, and finds out what its marks are about.
    ///
    /// Some packets go ahead of the others: first the account of each is asked for, then it is looked at, and then the packet
    /// is counted. So what waits for memory is done beside what does not; unless there is so little that it is near.
    pub fn count(
        &mut self,
        packets: &[Packet],
        trail: &Trail,
        part: &Part,
        stats: &mut Stats,
        postings: &mut Postings,
    ) {
        let Part { steps, marks, openings } = part;
        postings.accounts.clear();
        postings.packets.resize(steps.len() + GROUP + Stats::AHEAD, Posting::NOT);
        let mut poster = Poster {
            accounts: self,
            stats,
            posted: &mut postings.accounts,
            packets,
            marks: &trail.marks[marks.clone()],
            openings: &trail.openings[openings.clone()],
            ready: [Ends::default(); OPENINGS_AHEAD],
            taken: 0,
        };
        for ahead in 0..OPENINGS_AHEAD {
            poster.prepare(ahead);
        }
        let (first, steps) = (steps.start, &trail.steps[steps.clone()]);
        let group = |from: usize| from.min(steps.len())..(from + GROUP).min(steps.len());
        for from in (0..steps.len() + GROUP).step_by(GROUP) {
            let ahead = group(from);
            poster.post(first + from, &steps[ahead.clone()], &mut postings.packets[ahead]);
            let Some(now) = from.checked_sub(GROUP).map(group) else { continue };
            let (accounts, stats) = (&*poster.accounts, &mut *poster.stats);
            if size_of_val(&accounts.accounts[..]) + stats.cells_len_bytes() < NEAR_BYTES {
                stats.count(&postings.packets[now]);
                continue;
            }
            let postings = &postings.packets[now.start..now.end + Stats::AHEAD];
            let next = &steps[group(from + GROUP)];
            stats.count_from_afar(postings, next.iter().map(Step::place), |place| accounts.prefetch(place));
        }
        poster.post_marks(usize::MAX);
    }

    #[inline(always)]
    fn prefetch(&self, place: usize) {
        if let Some(account) = self.accounts.get(place) {
            prefetch(account);
        }
    }
}

/// At work on a part.
struct Poster<'p> {
    accounts: &'p mut Accounts,
    stats: &'p mut Stats,
    /// What the marks so far are about.
    posted: &'p mut Vec<Account>,
    packets: &'p [Packet],
    marks: &'p [Mark],
    openings: &'p [u32],
    /// The ends of the openings that come next.
    ready: [Ends; OPENINGS_AHEAD],
    taken: usize,
}

impl Poster<'_> {
    /// Finds out what packets are counted under, the first of which is at `first`.
    #[inline(always)]
    fn post(&mut self, first: usize, steps: &[Step], postings: &mut [Posting]) {
        for ((at, step), posting) in (first..).zip(steps).zip(postings) {
            let header = step.header;
            let account = if header.is_notable() {
                let Some(account) = self.note(at, step) else {
                    *posting = Posting::NOT;
                    continue;
                };
                account
            } else {
                self.accounts.accounts[step.place()]
            };
            let to_server = header.sender() as u8 ^ account.server() as u8 != 0;
            *posting = Posting::new(account.cell(), to_server, header.starts_flow(), step.wire_len, step.gap_us);
        }
    }

    /// Does what there is to do about a packet beside counting it; nothing is left to do about one without ports.
    #[inline(never)]
    fn note(&mut self, at: usize, step: &Step) -> Option<Account> {
        let header = step.header;
        let Some(slot) = step.slot else {
            // a packet without a flow has a reason
            let reason = header.reason().unwrap_or(Portless::Malformed);
            self.stats.count_portless(reason, step.wire_len);
            return None;
        };
        let account = if header.starts_flow() {
            self.open(at, slot, header)
        } else {
            let account = self.accounts.accounts[slot.index()];
            if header.accepts() {
                let ends = self.take();
                if header.sender() == account.server() && account.is_opened() {
                    self.accounts.labeller.accepted(ends);
                }
            }
            account
        };
        if header.is_later_fragment() {
            self.stats.count_later_fragment(account.cell(), step.wire_len);
        }
        Some(account)
    }

    /// Labels a flow by its first packet, once and for all.
    #[inline(always)]
    fn open(&mut self, at: usize, slot: Slot, header: Header) -> Account {
        // what has ended before may have been at the same place
        self.post_marks(at);
        let ends = self.take();
        let packet = &self.packets[at];
        let Accounts { labeller, accounts } = &mut *self.accounts;
        let opened = header.opens().then(|| labeller.label_of_opened(packet.transport(), packet.dst_port())).flatten();
        let label = opened.unwrap_or_else(|| labeller.label(&packet.segment(), ends));
        let (server, port) = match label.server {
            End::Src => (header.sender(), packet.src_port()),
            End::Dst => (header.sender().other(), packet.dst_port()),
        };
        let key = CellKey { transport: packet.transport(), service: label.service, port, evidence: label.evidence };
        let registry = labeller.registry();
        let cell = self.stats.cell(key, |service| registry.name(service).into());
        let account = Account::new(cell, server, header.sender(), header.opens());
        if accounts.len() <= slot.index() {
            accounts.resize(slot.index() + 1, Account::default());
        }
        accounts[slot.index()] = account;
        account
    }

    /// Finds out what the marks are about that come before a packet.
    #[inline(always)]
    fn post_marks(&mut self, before: usize) {
        while let Some(mark) = self.marks.get(self.posted.len()).filter(|mark| mark.before <= before) {
            let account = match mark.what {
                Happened::Ended { slot, .. } | Happened::Cut { slot } | Happened::RoundTrip { slot, .. } => {
                    self.accounts.accounts[slot.index()]
                }
                Happened::Snapshot => Account::default(),
            };
            self.posted.push(account);
        }
    }

    /// Makes the opening with this number ready.
    #[inline(always)]
    fn prepare(&mut self, number: usize) {
        let Some(&at) = self.openings.get(number) else { return };
        let packet = &self.packets[at as usize];
        let (transport, src_port, dst_port) = (packet.transport(), packet.src_port(), packet.dst_port());
        if packet.raw_header().opens() {
            return self.stats.prefetch_number(transport, dst_port);
        }
        // most likely
        self.stats.prefetch_number(transport, src_port.min(dst_port));
        self.ready[number % OPENINGS_AHEAD] = self.accounts.labeller.prepare(&packet.segment());
    }

    /// The ends of the packet at which an opening is; the next one is made ready in its place.
    #[inline(always)]
    fn take(&mut self) -> Ends {
        let number = self.taken;
        self.taken += 1;
        let ends = self.ready[number % OPENINGS_AHEAD];
        self.prepare(number + OPENINGS_AHEAD);
        ends
    }
}
