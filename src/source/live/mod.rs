//! Packets as they pass an interface: libpcap's capture, read without blocking, and what happens to the interface
//! meanwhile.
//!
//! libpcap hands over the packets of a block of its ring at a time. A block that is not full is handed over after
//! [`RETIRE`], so that nothing is ever older than that when it arrives, and a silent interface can say so.

mod interfaces;
mod losses;
mod reading;
mod socket;
mod trouble;

pub use interfaces::{HostInterface, ListError};
pub use losses::Losses;
pub use trouble::{LiveTrouble, OpenError};

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pcap::{Active, Capture, Linktype, Precision};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::bpf::Instruction;
use super::{Interface, filter};
use crate::units::{LinkType, Timestamp};
use losses::LossCounters;
use socket::Link;

/// How long the kernel keeps a block of packets that is not full.
const RETIRE: Duration = Duration::from_millis(100);
/// Nothing that was captured so long ago is still to come: [`RETIRE`], and what waking up takes.
const SETTLED: Duration = Duration::from_millis(150);
/// How long a silent interface is waited for before whoever reads hears that it is silent.
const WAIT: Duration = Duration::from_millis(50);
/// An interface that is there and cannot be read so often in a row, is of no use any more.
const MOST_FAILURES: u32 = 20;
/// How often an interface is looked at: whether it is up, or gone, or there again.
const LOOK: Duration = Duration::from_millis(250);

/// The pseudo-device for all interfaces.
pub const ANY: &str = "any";

/// How an interface is captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// BPF expression.
    pub filter: Option<String>,
    /// Bytes taken of each packet, from its link header on.
    pub snap_len: u32,
    /// Size of the kernel's ring, in bytes.
    pub buffer_bytes: u32,
    /// Take packets for other hosts too. Never on `any`, which cannot.
    pub promiscuous: bool,
    /// Time between two readings of what was lost.
    pub loss_period: Duration,
}

/// What the devices of a run share.
#[derive(Debug, Default)]
pub struct Together {
    /// Set when the run is to end: each device hands over what its ring still holds, and ends.
    pub stop: Arc<AtomicBool>,
    /// Devices that are there, up or down. When the last one goes, the run ends.
    present: AtomicUsize,
    /// When the first device was told to stop.
    stopped: OnceLock<Timestamp>,
}

impl Together {
    /// When the run ended, once that is so. What a device has captured since, others may not have.
    #[must_use]
    pub fn stopped(&self) -> Option<Timestamp> {
        self.stopped.get().copied()
    }

    /// Every interface is gone.
    #[must_use]
    pub fn none_left(&self) -> bool {
        self.present.load(Ordering::Relaxed) == 0
    }
}

/// An interface that packets are captured from.
pub struct Device {
    name: Arc<str>,
    /// What its interface is called now, where somebody has given it another name.
    renamed: Option<String>,
    options: LiveOptions,
    together: Arc<Together>,
    sharing: Option<Sharing>,
    /// When the capture began, by both clocks: what the ring has from before is not of it. `None` when nothing of that is left.
    begun: Option<(Timestamp, Instant)>,
    /// The interface of the name as it is now, once there was one: one that is created anew may have another link type.
    interface: Option<Interface>,
    state: State,
    /// The socket that keeps asking for the interface, whether there is one or not.
    asking: OwnedFd,
    link: Option<Link>,
    /// Packets longer than this, in bytes, are more than the interface could send; `u32::MAX` when that was said, or cannot
    /// be told.
    longest: u32,
    /// It was said that packets are too long, by this device or one that shares the interface.
    told_oversize: Arc<AtomicBool>,
    look_at: Instant,
    /// Nothing before this is still to come.
    through: Option<Timestamp>,
    losses: LossCounters,
    /// How often in a row it could not be read.
    failures: u32,
    /// What there is to tell, oldest first.
    troubles: Vec<LiveTrouble>,
}

/// How a device shares its interface with others.
struct Sharing {
    /// What the kernel calls them together.
    group: u16,
    /// This is the one that tells what happens to the interface.
    tells: bool,
}

/// What can be read.
enum State {
    /// Packets.
    Open(Capture<Active>),
    /// What the ring still holds: the run ends, or the interface is gone.
    Draining { capture: Capture<Active>, until: Instant, then: Then },
    /// Nothing, for now.
    Gone,
    /// Nothing any more.
    Ended,
}

/// What comes after the last packet of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The end.
    End,
    /// An interface of the same name, perhaps.
    Return,
}

impl Device {
    /// Opens the interface called `name`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(name: &str, options: LiveOptions, together: Arc<Together>) -> Result<Self, OpenError> {
        Self::open_as(name, options, together, None, Arc::default())
    }

    /// Opens `devices` that share the packets of the interface called `name`, both directions of a flow on the same one.
    /// `group` is what the kernel calls them together; no others on the host may be called so.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_shared(
        name: &str,
        options: &LiveOptions,
        together: &Arc<Together>,
        group: u16,
        devices: usize,
    ) -> Result<Vec<Self>, OpenError> {
        let told_oversize = Arc::default();
        let open = |at| {
            let sharing = Sharing { group, tells: at == 0 };
            Self::open_as(name, options.clone(), Arc::clone(together), Some(sharing), Arc::clone(&told_oversize))
        };
        (0..devices).map(open).collect()
    }

    fn open_as(
        name: &str,
        options: LiveOptions,
        together: Arc<Together>,
        sharing: Option<Sharing>,
        told_oversize: Arc<AtomicBool>,
    ) -> Result<Self, OpenError> {
        let other = |error: io::Error| OpenError::Other { name: name.to_owned(), message: error.to_string() };
        let asking = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(|error| other(error.into()))?;
        let mut this = Self {
            name: name.into(),
            renamed: None,
            losses: LossCounters::new(options.loss_period),
            options,
            together,
            sharing,
            begun: None,
            interface: None,
            state: State::Gone,
            asking,
            link: None,
            longest: u32::MAX,
            told_oversize,
            look_at: Instant::now(),
            through: None,
            failures: 0,
            troubles: Vec::new(),
        };
        this.begin()?;
        Ok(this)
    }

    /// Nothing captured before this is still to come; `None` before anything is known.
    #[must_use]
    pub fn through(&self) -> Option<Timestamp> {
        self.through
    }

    /// The interface that frames are of now.
    #[must_use]
    pub fn interface(&self) -> Option<&Interface> {
        self.interface.as_ref()
    }

    /// What was lost since the last call. Asks the kernel when that is due, or when the device has ended.
    pub fn losses(&mut self) -> Losses {
        let State::Open(capture) = &mut self.state else { return self.losses.take() };
        self.losses.read_when_due(capture);
        self.losses.take()
    }

    /// Opens what has the name now, and takes it for the interface.
    fn begin(&mut self) -> Result<(), OpenError> {
        let link = match Link::of(&self.asking, self.called()) {
            Ok(link) => Some(link),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None, // `any`, or another device of libpcap
            Err(error) => return Err(OpenError::Other { name: self.name.to_string(), message: error.to_string() }),
        };
        let mut capture = self.activate(link)?;
        // that takes a while for a long expression; those that share the interface get its packets meanwhile
        let program = self.compile(&capture)?;
        // what came until here was not filtered, and went to each that shares the interface: it is not of the capture
        socket::refuse_packets(&capture).map_err(|error| self.unusable(&error.to_string()))?;
        if let Some(sharing) = &self.sharing {
            let joined = socket::join_fanout(&capture, sharing.group);
            joined.map_err(|error| self.unusable(&format!("it cannot be shared between threads: {error}")))?;
        }
        self.losses.begin(&mut capture, &self.name, link.map(|link| link.index));
        self.begun = Some((now(), Instant::now()));
        self.accept_packets(&mut capture, program.as_deref())?;
        let link_type = of_dlt(capture.get_datalink());
        let (input, snap_len) = (Arc::clone(&self.name), self.options.snap_len);
        self.interface = Some(Interface { input, own_name: None, link: link_type, snap_len });
        if let Some(link) = link
            && link_type == LinkType::ETHERNET
            && !self.told_oversize.load(Ordering::Relaxed)
        {
            self.longest = link.mtu.saturating_add(ETHERNET_AND_TAGS);
        }
        self.link = link;
        self.state = State::Open(capture);
        self.together.present.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn activate(&mut self, link: Option<Link>) -> Result<Capture<Active>, OpenError> {
        let name = self.name.to_string();
        let options = &self.options;
        let open = |promiscuous| {
            Capture::from_device(self.called())?
                .promisc(promiscuous)
                .snaplen(options.snap_len.cast_signed())
                .buffer_size(options.buffer_bytes.cast_signed())
                .timeout(i32::try_from(RETIRE.as_millis()).unwrap_or(i32::MAX))
                .precision(Precision::Nano)
                .open()
        };
        let promiscuous = options.promiscuous && name != ANY;
        let opened = match open(promiscuous) {
            Err(error) if promiscuous => match open(false) {
                Ok(capture) => {
                    let message = message(error);
                    self.troubles.push(LiveTrouble::NotPromiscuous { name: Arc::clone(&self.name), message });
                    Ok(capture)
                }
                Err(_) => Err(error),
            },
            opened => opened,
        };
        let mut capture = match opened.and_then(Capture::setnonblock) {
            Ok(capture) => capture,
            Err(error) => {
                let message = message(error);
                return Err(match link {
                    _ if !may_capture() => OpenError::Permission { name },
                    None if name != ANY => OpenError::Unknown { name },
                    Some(Link { is_up: false, .. }) => OpenError::Down { name },
                    _ => OpenError::Other { name, message },
                });
            }
        };
        if name == ANY {
            // which interface a packet passed is in the newer header alone; older systems have the older one
            let _ = capture.set_datalink(Linktype(LinkType::LINUX_SLL2.0.into()));
        }
        Ok(capture)
    }

    /// The filter's program for the kernel. `None` without a filter, and where libpcap has to see to it: the header of a
    /// cooked capture is its own, and it moves the program's offsets for the kernel.
    fn compile(&self, capture: &Capture<Active>) -> Result<Option<Vec<Instruction>>, OpenError> {
        let Some(expression) = &self.options.filter else { return Ok(None) };
        let program = capture.compile(expression, true).map_err(|error| self.wrong_filter(expression, error))?;
        let is_cooked = matches!(of_dlt(capture.get_datalink()), LinkType::LINUX_SLL | LinkType::LINUX_SLL2);
        Ok(if is_cooked { None } else { filter::instructions(&program).ok() })
    }

    /// Has the kernel hand over the packets that match the filter. libpcap would run it once more over the first blocks of its
    /// ring, which it cannot do for `inbound` and `outbound`: it would lose what is in them.
    fn accept_packets(&self, capture: &mut Capture<Active>, program: Option<&[Instruction]>) -> Result<(), OpenError> {
        match (&self.options.filter, program) {
            (None, _) => socket::accept_packets(&*capture, &[]).map_err(|error| self.unusable(&error.to_string())),
            (Some(_), Some(program)) if socket::accept_packets(&*capture, program).is_ok() => Ok(()),
            // where the kernel does not take the program, libpcap runs it
            (Some(expression), _) => {
                capture.filter(expression, true).map_err(|error| self.wrong_filter(expression, error))
            }
        }
    }

    fn wrong_filter(&self, expression: &str, error: pcap::Error) -> OpenError {
        OpenError::Filter { name: self.name.to_string(), expression: expression.to_owned(), message: message(error) }
    }

    /// What the interface is called now.
    fn called(&self) -> &str {
        self.renamed.as_deref().unwrap_or(&self.name)
    }

    /// The interface cannot be captured from.
    fn unusable(&self, message: &str) -> OpenError {
        OpenError::Other { name: self.name.to_string(), message: message.to_owned() }
    }

    /// Looks at the interface when that is due: it may be down, up again, gone or there again.
    fn look(&mut self) {
        let now = Instant::now();
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK;
        let Some(before) = self.link else { return };
        let mut found = Link::of(&self.asking, self.called()).ok();
        let name = Arc::clone(&self.name);
        if let State::Open(_) = self.state
            && found.is_none_or(|link| link.index != before.index)
            && let Ok(now) = socket::name_of(&self.asking, before.index)
        {
            found = Link::of(&self.asking, &now).ok();
            self.troubles.push(LiveTrouble::Renamed { name: Arc::clone(&name), now: now.clone() });
            self.renamed = Some(now);
        }
        match (&self.state, found) {
            (State::Open(_), Some(link)) if link.index == before.index => {
                match (before.is_up, link.is_up) {
                    (true, false) => self.troubles.push(LiveTrouble::Down { name }),
                    (false, true) => self.troubles.push(LiveTrouble::Up { name }),
                    _ => {}
                }
                self.link = Some(link);
            }
            (State::Open(_), _) => self.lose(),
            (State::Gone, Some(link)) if link.is_up => self.begin_again(Some(LiveTrouble::Back { name })),
            _ => {}
        }
    }

    /// The interface cannot be read: it is gone, unless it is there. libpcap looks for it by its name when it goes down; if
    /// that has changed, it goes on to fail, and is opened anew when the interface is up.
    fn fail(&mut self) {
        self.failures += 1;
        let name = self.link.and_then(|link| socket::name_of(&self.asking, link.index).ok());
        match name.and_then(|name| Link::of(&self.asking, &name).ok()) {
            Some(link) if self.renamed.is_some() && link.is_up => self.open_anew(),
            Some(link) if !link.is_up || self.failures < MOST_FAILURES => std::thread::park_timeout(WAIT),
            _ => self.lose(),
        }
    }

    /// Captures from the interface by the name that it has now.
    fn open_anew(&mut self) {
        if let State::Open(mut capture) = std::mem::replace(&mut self.state, State::Gone) {
            self.losses.read(&mut capture);
            self.together.present.fetch_sub(1, Ordering::Relaxed);
        }
        let was_down = self.link.is_some_and(|link| !link.is_up);
        self.begin_again(was_down.then(|| LiveTrouble::Up { name: Arc::clone(&self.name) }));
    }

    /// Tries to capture from an interface that could not be, and tells `news` when that works. It may be gone again, or down
    /// again: then that is for later.
    fn begin_again(&mut self, news: Option<LiveTrouble>) {
        match self.begin() {
            Ok(()) => self.troubles.extend(news),
            Err(OpenError::Unknown { .. } | OpenError::Down { .. }) => {}
            Err(error) => {
                self.troubles.push(LiveTrouble::Lost(error));
                self.state = State::Ended;
            }
        }
    }

    /// The interface is gone: what its ring holds is still read.
    fn lose(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Gone);
        let State::Open(capture) = state else {
            self.state = state;
            return;
        };
        self.renamed = None;
        self.state = State::Draining { capture, until: Instant::now() + SETTLED, then: Then::Return };
        self.troubles.push(LiveTrouble::Gone { name: Arc::clone(&self.name) });
        if self.together.present.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.together.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The run ends: from now on the ring gets nothing more, and what it has is read.
    fn begin_to_end(&mut self) {
        self.together.stopped.get_or_init(now);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Open(capture) => {
                // where the kernel refuses that, what comes until then is read too
                let _ = socket::refuse_packets(&capture);
                self.state = State::Draining { capture, until: Instant::now() + SETTLED, then: Then::End };
            }
            State::Draining { capture, until, .. } => {
                self.state = State::Draining { capture, until, then: Then::End };
            }
            State::Gone | State::Ended => {}
        }
    }

    /// The ring is empty.
    fn close(&mut self) {
        if let State::Draining { mut capture, then, .. } = std::mem::replace(&mut self.state, State::Ended) {
            self.losses.read(&mut capture);
            if then == Then::Return {
                self.state = State::Gone;
            }
        }
    }
}

/// An Ethernet header and two VLAN tags, in bytes (IEEE 802.1Q).
const ETHERNET_AND_TAGS: u32 = 14 + 2 * 4;

/// The time that the kernel stamps packets with. Nobody else in the program asks what time it is.
#[must_use]
pub fn now() -> Timestamp {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    })
}

/// The registered number of a link type as this system numbers it (pcap-linktype(7)).
fn of_dlt(dlt: Linktype) -> LinkType {
    match u16::try_from(dlt.0).map_or(LinkType(u16::MAX), LinkType) {
        LinkType::RAW_BSD => LinkType::RAW,
        LinkType::ATM_RFC1483_DLT => LinkType::ATM_RFC1483,
        LinkType::ATM_CLIP_DLT => LinkType::ATM_CLIP,
        other => other,
    }
}

/// The process has the capability that packet sockets take (capabilities(7)).
fn may_capture() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_RAW))
}

/// What libpcap says.
fn message(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(message) => message,
        other => other.to_string(),
    }
}
