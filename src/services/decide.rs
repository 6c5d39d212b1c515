//! The ladder: which end of a flow serves, and so which port names it.
//!
//! A rule is a sentence and looks at nothing but its [`Flow`]; the first that decides is the evidence of the label.
//! No rule asks who sent the packet unless the packet itself tells (a handshake, a group address), so exchanging the
//! ends changes nothing.

use std::cmp::Ordering;

use super::{End, Evidence, Label, Past, Registry, Standing, reviewed};
use crate::decode::{Handshake, Segment};
use crate::units::{ServiceId, Transport};

/// End of the system ports and begin of the registered ones (RFC 6335, section 6).
const REGISTERED_FIRST: u16 = 1024;
/// Where Linux starts to take client ports from (`ip_local_port_range` in the kernel's `ip-sysctl` document): from here
/// up, a name says little by itself.
const CLIENT_FIRST: u16 = 32_768;
/// Where telephones and gateways take the ports of RTP from, unless they are told otherwise (Cisco IOS and many others).
/// Linux and Windows give none of them to clients.
const RTP: std::ops::Range<u16> = 16_384..CLIENT_FIRST;
/// Begin of the dynamic ports, which are never registered (RFC 6335, section 6).
const DYNAMIC_FIRST: u16 = 49_152;

/// What the rules know of a flow.
struct Flow<'f> {
    registry: &'f Registry,
    /// Its first segment.
    segment: &'f Segment,
    /// What the registry calls the ports of source and destination.
    names: [Option<ServiceId>; 2],
    /// What earlier packets told about source and destination.
    pasts: [Past; 2],
    /// A socket of this host listens at source and destination; never when files are read.
    listens: [bool; 2],
}

impl<'f> Flow<'f> {
    fn new(registry: &'f Registry, segment: &'f Segment, pasts: [Past; 2], listens: [bool; 2]) -> Self {
        let names = [segment.src_port, segment.dst_port].map(|port| registry.service(segment.transport, port));
        Self { registry, segment, names, pasts, listens }
    }

    fn label(&self, Verdict { server, evidence, .. }: Verdict) -> Label {
        let service = if evidence == Evidence::None { None } else { self.name(server) };
        Label { service, server, evidence }
    }

    const fn port(&self, end: End) -> u16 {
        match end {
            End::Src => self.segment.src_port,
            End::Dst => self.segment.dst_port,
        }
    }

    const fn name(&self, end: End) -> Option<ServiceId> {
        self.names[end as usize]
    }

    const fn past(&self, end: End) -> Past {
        self.pasts[end as usize]
    }

    /// The end with the lower port. Equal ports have none: without a handshake the first sender is the client.
    const fn lower(&self) -> End {
        if self.segment.src_port < self.segment.dst_port { End::Src } else { End::Dst }
    }

    /// The end whose port is named and within reach of `rule`, which is given that port and the other one; when both
    /// are, the lower.
    fn named(&self, rule: impl Fn(u16, u16) -> bool) -> Option<End> {
        let holds = |end: End| self.name(end).is_some() && rule(self.port(end), self.port(end.other()));
        only(holds).or_else(|| holds(End::Src).then(|| self.lower()).filter(|_| holds(End::Dst)))
    }

    fn is_strong(&self, end: End) -> bool {
        reviewed(self.segment.transport).is_strong(self.port(end))
    }

    /// The end that is better known to be a server than the other.
    fn known_server(&self) -> Option<End> {
        match self.past(End::Src).standing.cmp(&self.past(End::Dst).standing) {
            Ordering::Greater => Some(End::Src),
            Ordering::Less => Some(End::Dst),
            Ordering::Equal => None,
        }
    }

    /// The port of `server` may have its name by chance, as the other end has one port for everything, and has not met
    /// this number before. Else peer-to-peer traffic would get a name for each number of chance.
    fn is_chance(&self, server: End) -> bool {
        self.known_server().is_some_and(|known| known != server && !self.past(known).has_met_port)
    }
}

/// Why a name of [`Flow::is_chance`] does not count.
const CHANCE: &str = "the named port is one of many that the other end exchanged packets with";

/// The one end that `holds` for; nothing when it holds for both.
fn only(holds: impl Fn(End) -> bool) -> Option<End> {
    match (holds(End::Src), holds(End::Dst)) {
        (true, false) => Some(End::Src),
        (false, true) => Some(End::Dst),
        _ => None,
    }
}

/// Who serves by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    server: End,
    evidence: Evidence,
    /// Why that end does, in words.
    why: &'static str,
}

impl End {
    const fn because_of(self, evidence: Evidence, why: &'static str) -> Verdict {
        Verdict { server: self, evidence, why }
    }
}

/// A rule: who serves, or in words why it does not apply.
type Rule = fn(&Flow<'_>) -> Result<Verdict, &'static str>;

/// The rules in the order in which they are tried; without one that decides, the flow has no name.
const LADDER: [(Evidence, Rule); 11] = [
    (Evidence::Override, user_name),
    (Evidence::Handshake, handshake),
    (Evidence::Listener, listener),
    (Evidence::Multicast, multicast),
    (Evidence::Learned, learned),
    (Evidence::SamePort, same_port),
    (Evidence::Pair, pair),
    (Evidence::Strong, strong),
    (Evidence::System, system),
    (Evidence::Registered, registered),
    (Evidence::Ephemeral, ephemeral),
];

/// The label of the flow that starts with `segment`; `pasts` is what earlier packets told about its source and
/// destination, and `listens` whether a socket of this host listens there.
pub(super) fn label(registry: &Registry, segment: &Segment, pasts: [Past; 2], listens: [bool; 2]) -> Label {
    let flow = Flow::new(registry, segment, pasts, listens);
    let verdict = LADDER.iter().find_map(|(_, rule)| rule(&flow).ok());
    flow.label(verdict.unwrap_or_else(|| nobody(&flow)))
}

/// Why a flow gets its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The label.
    pub label: Label,
    /// What each rule says, in the order in which they are tried; the last is [`Evidence::None`].
    pub steps: Vec<Step>,
}

/// What one rule says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Evidence,
    /// The end that serves by this rule; `None` when it does not apply.
    pub server: Option<End>,
    /// This is the first that applies: it decides.
    pub decides: bool,
    /// Why, in words: of the end that serves, or of the flow.
    pub why: &'static str,
}

/// What each rule says of the flow that starts with `segment` when nothing was seen before and nobody listens.
pub(super) fn explain(registry: &Registry, segment: &Segment) -> Explanation {
    let flow = Flow::new(registry, segment, Default::default(), Default::default());
    let mut first = None;
    let mut steps = Vec::with_capacity(LADDER.len() + 1);
    for (evidence, rule) in LADDER {
        let verdict = rule(&flow);
        steps.push(Step {
            rule: evidence,
            server: verdict.ok().map(|verdict| verdict.server),
            decides: first.is_none() && verdict.is_ok(),
            why: verdict.map_or_else(|why| why, |verdict| verdict.why),
        });
        first = first.or(verdict.ok());
    }
    let verdict = first.unwrap_or_else(|| nobody(&flow));
    let is_nobody = verdict.evidence == Evidence::None;
    steps.push(Step {
        rule: Evidence::None,
        server: is_nobody.then_some(verdict.server),
        decides: is_nobody,
        why: if is_nobody { verdict.why } else { "a rule above decides" },
    });
    Explanation { label: flow.label(verdict), steps }
}

/// What the user says goes before everything else. When both ports are the user's, the other rules decide between them.
fn user_name(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let is_named = |end| flow.registry.user_names(flow.segment.transport, flow.port(end));
    let server = only(is_named).ok_or("users' files name neither port, or both")?;
    Ok(server.because_of(Evidence::Override, "a user's file names its port, and none the other"))
}

/// Who opens a connection is its client: the opening goes to the server and the server accepts it (RFC 9293,
/// section 3.5; RFC 9260, section 5.1; RFC 4340, section 8.1). Not in active FTP, whose server opens the data connection
/// from its well-known port to a port without a name (RFC 959, section 3.2): that is left to [`strong`].
fn handshake(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let server = match flow.segment.handshake {
        Handshake::Open => End::Dst,
        Handshake::Accept => End::Src,
        Handshake::None => return Err("this packet neither opens nor accepts a connection"),
    };
    if flow.name(server).is_none() && flow.is_strong(server.other()) {
        return Err("a port of the strong set opens the connection to one without a name, as in active FTP");
    }
    Ok(server.because_of(Evidence::Handshake, "the connection is opened to it"))
}

/// The kernel of this host says who serves. Equal ports tell nothing: who answers at a port may ask from it too, as in NTP,
/// ISAKMP and `BACnet`. A client waits for its server where the protocol gives it a port of its own, and one of active FTP
/// listens for its data, as with [`handshake`]. A socket of UDP takes packets from anybody without being a server's, so the
/// names of the ports have to agree.
fn listener(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let Segment { transport, src_port, dst_port, .. } = *flow.segment;
    let server = only(|end| flow.listens[end as usize]);
    let server = server.ok_or("live only: no socket of this host listens at either end, or at both")?;
    if src_port == dst_port {
        return Err("this host listens at a port from which the other end sends too");
    }
    if reviewed(transport).is_pair(flow.port(server.other()), flow.port(server)) {
        return Err("this host listens at a port where clients wait for their server");
    }
    if flow.name(server).is_none() && flow.is_strong(server.other()) {
        return Err("this host listens at a port without a name for one of the strong set, as in active FTP");
    }
    let is_weaker = flow.is_strong(server.other()) && !flow.is_strong(server);
    if !transport.has_handshake() && (flow.name(server).is_none() || is_weaker) {
        return Err("this host takes packets at that port, as a client might: nobody vouches for its name");
    }
    Ok(server.because_of(Evidence::Listener, "a socket of this host listens there"))
}

/// A group is spoken to by its well-known port. Nobody sends from a group's address (RFC 1122, section 3.2.1.3), but
/// what is damaged or forged may have one there.
fn multicast(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let Segment { to_group, src_addr, ip_version, .. } = *flow.segment;
    let server = match (to_group, src_addr.is_group(ip_version)) {
        (true, _) => End::Dst,
        (false, true) => End::Src,
        (false, false) => return Err("neither end is a multicast or broadcast address"),
    };
    Ok(server.because_of(Evidence::Multicast, "it is a multicast or broadcast address"))
}

/// Who has served before serves again. A server without a name stays without: the port of its client says nothing.
fn learned(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let server = flow.known_server().ok_or("neither end was seen to serve before, or both were")?;
    match (flow.name(server), flow.past(server).standing) {
        (Some(_), _) => Ok(server.because_of(Evidence::Learned, "it has served before")),
        (None, Standing::Accepted) => Ok(server.because_of(Evidence::None, "it has served before, without a name")),
        // it may be a client that has one port for everything; `registered` and `ephemeral` beware
        (None, _) => Err("who exchanged packets with many ports has none with a name"),
    }
}

/// Equal ports at both ends name the same service, whoever serves: NTP between servers, ISAKMP, `BACnet`.
fn same_port(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    if flow.segment.src_port != flow.segment.dst_port {
        return Err("the ports differ");
    }
    Ok(flow.lower().because_of(Evidence::SamePort, "both ports are equal"))
}

/// Where the protocol gives the client a port of its own, that is not the server, however low its number.
fn pair(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let pairs = reviewed(flow.segment.transport);
    let server = only(|end| pairs.is_pair(flow.port(end), flow.port(end.other())));
    let server = server.ok_or("the ports are no pair of a client's and a server's")?;
    Ok(server.because_of(Evidence::Pair, "the other port is that of its clients"))
}

/// A port whose name people vouch for, against one that anybody may have by chance.
fn strong(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let server = only(|end| flow.is_strong(end)).ok_or("not exactly one of the ports is in the strong set")?;
    Ok(server.because_of(Evidence::Strong, "its port is in the strong set, and the other is not"))
}

/// A system port is given out by IETF review and, on most systems, only to a privileged process (RFC 6335, section 6).
fn system(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let server = flow.named(|port, _| port < REGISTERED_FIRST).ok_or("there is no named port below 1024")?;
    Ok(server.because_of(Evidence::System, "the only named port below 1024, or the lower"))
}

/// A registered port below those that Linux gives to clients (RFC 6335, section 6). Of two, one whose transport IANA
/// knows goes before one that it does not. Not where it may be RTP, whose ends agree on ports: one of them then has a name
/// by chance.
fn registered(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let is_vague = |port| reviewed(flow.segment.transport).is_vague(port);
    let in_reach = |port: u16| (REGISTERED_FIRST..CLIENT_FIRST).contains(&port);
    let sure = flow.named(|port, _| in_reach(port) && !is_vague(port));
    let server = sure.or_else(|| flow.named(|port, _| in_reach(port)));
    let server = server.ok_or("there is no named port from 1024 to 32767")?;
    if flow.is_chance(server) {
        return Err(CHANCE);
    }
    if may_be_rtp(flow, server.other()) {
        return Err("the ends may have agreed on these ports for RTP, and one has a name by chance");
    }
    Ok(server.because_of(Evidence::Registered, "the only named port from 1024 to 32767, or the lower"))
}

/// The ends may have agreed on these ports for RTP, which has an even one at both, or for its RTCP, which has the odd ones
/// above (RFC 3550, section 11): nobody has looked at the name of the one, and `other` has none, is one of RTP's and does
/// not know the number from elsewhere.
fn may_be_rtp(flow: &Flow<'_>, other: End) -> bool {
    let Segment { transport, src_port, dst_port, .. } = *flow.segment;
    transport == Transport::Udp
        && src_port % 2 == dst_port % 2
        && RTP.contains(&flow.port(other))
        && flow.name(other).is_none()
        && !flow.past(other).has_met_port
        && !reviewed(transport).is_known(flow.port(other.other()))
}

/// A named port where clients get theirs too counts only against a dynamic port, which is never registered: else the
/// client's chance number would name the flow.
fn ephemeral(flow: &Flow<'_>) -> Result<Verdict, &'static str> {
    let server = flow.named(|port, other| port >= CLIENT_FIRST && other >= DYNAMIC_FIRST);
    let server = server.ok_or("there is no named port from 32768 up with the other from 49152 up")?;
    if flow.is_chance(server) {
        return Err(CHANCE);
    }
    Ok(server.because_of(Evidence::Ephemeral, "a named port from 32768 up, the other from 49152 up"))
}

/// What is left has no name.
fn nobody(flow: &Flow<'_>) -> Verdict {
    match flow.known_server() {
        Some(server) => {
            server.because_of(Evidence::None, "no rule finds a name, and it exchanged packets with many ports")
        }
        None => flow.lower().because_of(Evidence::None, "no rule finds a name; the lower port counts as the server's"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::services::tests::{first_label, segment, with};
    use crate::units::{AddressWords, IpVersion};

    #[test]
    fn rules_stand_in_the_order_of_the_evidence() {
        assert!(LADDER.is_sorted_by_key(|(evidence, _)| *evidence));
    }

    #[test]
    fn the_first_rule_that_decides_names_the_flow() {
        use Handshake::{Accept, None as Nothing, Open};
        use Transport::{Sctp, Tcp, Udp, UdpLite};
        let registry = Registry::builtin();
        #[rustfmt::skip]
        let cases = [
            // name, transport, handshake, to a group, ports, service, server's port, evidence
            ("the opening goes to the server", Tcp, Open, false, (51_000, 443), Some("https"), 443, "handshake"),
            ("the server accepts", Tcp, Accept, false, (443, 51_000), Some("https"), 443, "handshake"),
            ("a named client port never wins", Tcp, Open, false, (3306, 5601), Some("kibana"), 5601, "handshake"),
            ("nor a strong one against a name", Tcp, Open, false, (443, 3306), Some("mysql"), 3306, "handshake"),
            ("nor against a port without a name", Tcp, Open, false, (3306, 50_001), None, 50_001, "handshake"),
            ("nor when only the answer is seen", Tcp, Accept, false, (50_001, 3306), None, 50_001, "handshake"),
            ("active FTP", Tcp, Open, false, (20, 51_000), Some("ftp-data"), 20, "strong"),
            ("its answer", Tcp, Accept, false, (51_000, 20), Some("ftp-data"), 20, "strong"),
            ("active FTP to a named port", Tcp, Open, false, (20, 5432), Some("postgresql"), 5432, "handshake"),
            ("a group serves", Udp, Nothing, true, (53, 5353), Some("mdns"), 5353, "multicast"),
            ("even without a name", Udp, Nothing, true, (53, 50_001), None, 50_001, "multicast"),
            ("equal ports", Udp, Nothing, false, (123, 123), Some("ntp"), 123, "same_port"),
            ("equal ports without a name", Udp, Nothing, false, (50_001, 50_001), None, 50_001, "same_port"),
            ("DHCP", Udp, Nothing, false, (68, 67), Some("bootps"), 67, "pair"),
            ("DHCPv6: the higher one", Udp, Nothing, false, (547, 546), Some("dhcpv6-server"), 547, "pair"),
            ("a notification", Udp, Nothing, false, (161, 162), Some("snmptrap"), 162, "pair"),
            ("network boot", Udp, Nothing, false, (68, 4011), Some("altserviceboot"), 4011, "pair"),
            ("AFS", Udp, Nothing, false, (7003, 7001), Some("afs3-vlserver"), 7003, "pair"),
            ("UDP-Lite has UDP's", UdpLite, Nothing, false, (68, 67), Some("bootps"), 67, "pair"),
            ("pairs are of a transport", Tcp, Nothing, false, (68, 67), Some("bootps"), 67, "system"),
            ("a strong port", Tcp, Nothing, false, (51_000, 443), Some("https"), 443, "strong"),
            ("the answer gets the same", Tcp, Nothing, false, (443, 51_000), Some("https"), 443, "strong"),
            ("strong before system", Udp, Nothing, false, (873, 2049), Some("nfs"), 2049, "strong"),
            ("strong before a lower system port", Udp, Nothing, false, (80, 123), Some("ntp"), 123, "strong"),
            ("strong by the overlay", Tcp, Nothing, false, (1366, 5601), Some("kibana"), 5601, "strong"),
            ("and where IANA has no name", Tcp, Nothing, false, (25_565, 34_964), Some("minecraft"), 25_565, "strong"),
            ("what the overlay only keeps is not", Tcp, Nothing, false, (40_001, 5432), Some("postgresql"), 5432, "registered"),
            ("nor what is ambiguous", Tcp, Nothing, false, (40_001, 9090), Some("websm"), 9090, "registered"),
            ("nor ports of clients", Udp, Nothing, false, (51_820, 30_050), None, 30_050, "none"),
            ("the strong set is of a transport", Udp, Nothing, false, (5432, 5601), Some("postgresql"), 5432, "registered"),
            ("the lower of two strong ones", Tcp, Nothing, false, (80, 22), Some("ssh"), 22, "system"),
            ("a system port", Tcp, Nothing, false, (51_000, 79), Some("finger"), 79, "system"),
            ("system before registered", Tcp, Nothing, false, (79, 3306), Some("finger"), 79, "system"),
            ("unnamed ports below do not count", Tcp, Nothing, false, (4, 79), Some("finger"), 79, "system"),
            ("the last system port", Udp, Nothing, false, (1023, 1022), Some("exp2"), 1022, "system"),
            ("on another transport", Sctp, Nothing, false, (179, 40_001), Some("bgp"), 179, "system"),
            ("a registered port", Tcp, Nothing, false, (40_001, 3306), Some("mysql"), 3306, "registered"),
            ("the lower of two registered", Tcp, Nothing, false, (5432, 3306), Some("mysql"), 3306, "registered"),
            ("one without a transport comes last", Udp, Nothing, false, (4292, 5060), Some("sip"), 5060, "registered"),
            ("though better than nothing", Udp, Nothing, false, (4292, 40_001), Some("vrml-multi-use"), 4292, "registered"),
            ("RTP", Udp, Nothing, false, (32_152, 9396), None, 9396, "none"),
            ("RTCP", Udp, Nothing, false, (32_153, 9397), None, 9397, "none"),
            ("neither, an odd and an even port", Udp, Nothing, false, (32_153, 9396), Some("fjinvmgr"), 9396, "registered"),
            ("nor TCP", Tcp, Nothing, false, (32_152, 9396), Some("fjinvmgr"), 9396, "registered"),
            ("nor outside of RTP's range", Udp, Nothing, false, (16_382, 9396), Some("fjinvmgr"), 9396, "registered"),
            ("the first port of a Linux client", Udp, Nothing, false, (32_768, 9396), Some("fjinvmgr"), 9396, "registered"),
            ("two names", Udp, Nothing, false, (9400, 9396), Some("fjinvmgr"), 9396, "registered"),
            ("a name that people have looked at", Udp, Nothing, false, (20_932, 5060), Some("sip"), 5060, "registered"),
            ("registered before ephemeral", Udp, Nothing, false, (34_964, 3478), Some("stun"), 3478, "registered"),
            ("weak against a dynamic port", Udp, Nothing, false, (47_808, 50_001), Some("bacnet"), 47_808, "ephemeral"),
            ("weak, and named in the dynamic range", Udp, Nothing, false, (50_001, 51_820), Some("wireguard"), 51_820, "ephemeral"),
            ("weak against anything else", Udp, Nothing, false, (47_808, 40_001), None, 40_001, "none"),
            ("both weak", Udp, Nothing, false, (47_808, 34_964), None, 34_964, "none"),
            ("weak against a lower one", Udp, Nothing, false, (34_964, 30_050), None, 30_050, "none"),
            ("both dynamic and named", Udp, Nothing, false, (64_738, 51_413), Some("transmission"), 51_413, "ephemeral"),
            ("no names", Tcp, Nothing, false, (50_001, 50_002), None, 50_001, "none"),
            ("ports 0 and 65535", Tcp, Nothing, false, (65_535, 0), None, 0, "none"),
        ];
        for (name, transport, handshake, to_group, (src, dst), service, port, evidence) in cases {
            let segment = Segment { handshake, to_group, ..segment(transport, src, dst) };
            let label = first_label(&registry, &segment);
            let server_port = if label.server == End::Src { src } else { dst };
            let got = (label.service.map(|id| registry.name(id)), server_port, label.evidence.name());
            assert_eq!(got, (service, port, evidence), "{name}");
            assert_eq!(registry.explain(&segment).label, label, "{name}");
        }
    }

    #[test]
    fn what_the_user_names_goes_first() {
        use Handshake::{None as Nothing, Open};
        let registry = with(&["app 40001/tcp\nsecond 50002/tcp\nhttps 7443/tcp"], false);
        let cases = [
            ("before a handshake", Open, false, (40_001, 443), Some("app"), 40_001, "override"),
            ("before a group", Nothing, true, (40_001, 443), Some("app"), 40_001, "override"),
            ("before a strong port", Nothing, false, (443, 40_001), Some("app"), 40_001, "override"),
            ("a name that is built in", Nothing, false, (7443, 22), Some("https"), 7443, "override"),
            ("both: who is opened to", Open, false, (40_001, 50_002), Some("second"), 50_002, "handshake"),
            ("both: the next rules", Nothing, false, (40_001, 7443), Some("https"), 7443, "registered"),
            ("none of them", Nothing, false, (51_000, 443), Some("https"), 443, "strong"),
        ];
        for (name, handshake, to_group, (src, dst), service, port, evidence) in cases {
            let segment = Segment { handshake, to_group, ..segment(Transport::Tcp, src, dst) };
            let label = first_label(&registry, &segment);
            let server_port = if label.server == End::Src { src } else { dst };
            let got = (label.service.map(|id| registry.name(id)), server_port, label.evidence.name());
            assert_eq!(got, (service, port, evidence), "{name}");
        }
    }

    #[test]
    fn the_past_tells_who_serves() {
        let past = |standing, has_met_port| Past { standing, has_met_port };
        let unknown = Past::default();
        let many = past(Standing::ManyPorts, false);
        let many_again = past(Standing::ManyPorts, true);
        let accepted = past(Standing::Accepted, false);
        let registry = Registry::builtin();
        #[rustfmt::skip]
        let cases = [
            // name, ports, what is known of them, service, server's port, evidence
            ("it has many clients", (5060, 2049), (many, unknown), Some("sip"), 5060, "learned"),
            ("it has accepted", (5060, 2049), (accepted, unknown), Some("sip"), 5060, "learned"),
            ("who has accepted goes first", (5060, 2049), (accepted, many), Some("sip"), 5060, "learned"),
            ("both have many: the next rules", (5060, 2049), (many, many), Some("nfs"), 2049, "strong"),
            ("both have accepted", (5060, 2049), (accepted, accepted), Some("nfs"), 2049, "strong"),
            ("a server without a name", (50_001, 443), (accepted, unknown), None, 50_001, "none"),
            ("is known by its port", (50_001, 40_001), (many, unknown), None, 50_001, "none"),
            ("one port for everything, and chance", (28_681, 1194), (many, unknown), None, 28_681, "none"),
            ("and a number that recurs", (28_681, 6346), (many_again, unknown), Some("gnutella-svc"), 6346, "registered"),
            ("RTP does not recur", (20_002, 9396), (past(Standing::Unknown, true), unknown), Some("fjinvmgr"), 9396, "registered"),
            ("and a strong port", (28_681, 123), (many, unknown), Some("ntp"), 123, "strong"),
            ("and a system port", (28_681, 79), (many, unknown), Some("finger"), 79, "system"),
            ("and chance, higher up", (50_001, 51_820), (many, unknown), None, 50_001, "none"),
            ("and again there", (50_001, 51_820), (many_again, unknown), Some("wireguard"), 51_820, "ephemeral"),
            ("the other one has many", (28_681, 1194), (unknown, many), Some("openvpn"), 1194, "learned"),
            ("both are used for everything", (28_681, 1194), (many, many), Some("openvpn"), 1194, "registered"),
        ];
        for (name, (src, dst), (src_past, dst_past), service, port, evidence) in cases {
            let there = label(&registry, &segment(Transport::Udp, src, dst), [src_past, dst_past], [false; 2]);
            let back = label(&registry, &segment(Transport::Udp, dst, src), [dst_past, src_past], [false; 2]);
            assert_eq!((there.service, there.evidence), (back.service, back.evidence), "{name}");
            let server_port = if there.server == End::Src { src } else { dst };
            let got = (there.service.map(|id| registry.name(id)), server_port, there.evidence.name());
            assert_eq!(got, (service, port, evidence), "{name}");
        }
    }

    #[test]
    fn who_listens_on_this_host_serves() {
        use Handshake::{None as Nothing, Open};
        use Transport::{Tcp, Udp};
        let registry = with(&["app 40001/tcp"], false);
        #[rustfmt::skip]
        let cases = [
            // name, transport, handshake, to a group, ports, who listens, service, server's port, evidence
            ("a named port", Tcp, Nothing, false, (5601, 443), (true, false), Some("kibana"), 5601, "listener"),
            ("that of the other end", Tcp, Nothing, false, (443, 5601), (false, true), Some("kibana"), 5601, "listener"),
            ("both: the rules below", Tcp, Nothing, false, (5601, 79), (true, true), Some("kibana"), 5601, "strong"),
            ("no name: the client's says nothing", Tcp, Nothing, false, (50_001, 8080), (true, false), None, 50_001, "listener"),
            ("unless it is active FTP", Tcp, Nothing, false, (50_001, 20), (true, false), Some("ftp-data"), 20, "strong"),
            ("after a user's names", Tcp, Nothing, false, (5601, 40_001), (true, false), Some("app"), 40_001, "override"),
            ("after a handshake", Tcp, Open, false, (5601, 22), (true, false), Some("ssh"), 22, "handshake"),
            ("before a group", Udp, Nothing, true, (67, 68), (true, false), Some("bootps"), 67, "listener"),
            ("UDP", Udp, Nothing, false, (5060, 79), (true, false), Some("sip"), 5060, "listener"),
            ("UDP against a strong port", Udp, Nothing, false, (873, 111), (true, false), Some("rpcbind"), 111, "strong"),
            ("UDP without a name may be a client", Udp, Nothing, false, (2, 79), (true, false), Some("finger"), 79, "system"),
            ("a client's port of a pair", Udp, Nothing, false, (68, 67), (true, false), Some("bootps"), 67, "pair"),
            ("of a pair, though strong", Udp, Nothing, false, (161, 162), (true, false), Some("snmptrap"), 162, "pair"),
            ("the server's", Udp, Nothing, false, (67, 68), (true, false), Some("bootps"), 67, "listener"),
            ("equal ports", Udp, Nothing, false, (123, 123), (true, false), Some("ntp"), 123, "same_port"),
        ];
        for (name, transport, handshake, to_group, (src, dst), (src_listens, dst_listens), service, port, evidence) in
            cases
        {
            let segment = Segment { handshake, to_group, ..segment(transport, src, dst) };
            let label = label(&registry, &segment, Default::default(), [src_listens, dst_listens]);
            let server_port = if label.server == End::Src { src } else { dst };
            let got = (label.service.map(|id| registry.name(id)), server_port, label.evidence.name());
            assert_eq!(got, (service, port, evidence), "{name}");
        }
    }

    #[test]
    fn an_explanation_names_every_rule_and_the_one_that_decides() {
        let registry = Registry::builtin();
        let cases = [
            (Handshake::None, (51_000, 443), Evidence::Strong),
            (Handshake::Open, (51_000, 443), Evidence::Handshake),
            (Handshake::Open, (20, 51_000), Evidence::Strong),
            (Handshake::None, (50_001, 50_002), Evidence::None),
        ];
        for (handshake, (src, dst), decides) in cases {
            let explained = registry.explain(&Segment { handshake, ..segment(Transport::Tcp, src, dst) });
            assert_eq!(
                explained.steps.iter().map(|step| step.rule).collect::<Vec<_>>(),
                Evidence::ALL,
                "{src} to {dst}"
            );
            let deciding: Vec<_> = explained.steps.iter().filter(|step| step.decides).collect();
            let [step] = deciding[..] else { panic!("{src} to {dst}: one rule decides") };
            let label = explained.label;
            assert_eq!((step.rule, step.server), (decides, Some(label.server)), "{src} to {dst}");
            assert_eq!(label.evidence, decides, "{src} to {dst}");
        }
    }

    /// A port, those with names as likely as those without.
    fn any_port() -> impl Strategy<Value = u16> {
        let telling = proptest::sample::select(&[20_u16, 67, 68, 443, 546, 547, 2049, 4292, 5601, 51_820, 44_818][..]);
        prop_oneof![0..1024_u16, 1024..32_768_u16, 32_768..=u16::MAX, telling]
    }

    fn any_transport() -> impl Strategy<Value = Transport> {
        proptest::sample::select(&Transport::ALL[..])
    }

    fn any_past() -> impl Strategy<Value = Past> {
        let standing = proptest::sample::select(&[Standing::Unknown, Standing::ManyPorts, Standing::Accepted][..]);
        (standing, any::<bool>()).prop_map(|(standing, has_met_port)| Past { standing, has_met_port })
    }

    proptest! {
        #[test]
        fn exchanging_the_ends_changes_nothing(
            transport in any_transport(), a in any_port(), b in any_port(), a_past in any_past(), b_past in any_past(),
            a_listens: bool, b_listens: bool,
        ) {
            for registry in [&Registry::builtin(), &with(&["a 1000-2000/tcp\nb 50000-60000/udp"], false)] {
                let there = label(registry, &segment(transport, a, b), [a_past, b_past], [a_listens, b_listens]);
                let back = label(registry, &segment(transport, b, a), [b_past, a_past], [b_listens, a_listens]);
                prop_assert_eq!((there.service, there.evidence), (back.service, back.evidence));
                // Equal ports do not tell the ends apart: the first sender is the client both ways.
                if a != b {
                    prop_assert_ne!(there.server, back.server);
                }
            }
        }

        #[test]
        fn an_answer_keeps_the_label_of_the_opening(transport in any_transport(), a in any_port(), b in any_port()) {
            let registry = Registry::builtin();
            let open = first_label(&registry, &Segment { handshake: Handshake::Open, ..segment(transport, a, b) });
            let accept = first_label(&registry, &Segment { handshake: Handshake::Accept, ..segment(transport, b, a) });
            prop_assert_eq!((open.service, open.evidence), (accept.service, accept.evidence));
            prop_assert_eq!(open.server, accept.server.other());
        }

        #[test]
        fn the_client_of_a_handshake_never_names(transport in any_transport(), a in any_port(), b in any_port()) {
            let registry = Registry::builtin();
            let label = first_label(&registry, &Segment { handshake: Handshake::Open, ..segment(transport, a, b) });
            let is_active_ftp = registry.service(transport, b).is_none() && registry.is_strong(transport, a);
            let want = if is_active_ftp { (End::Src, Evidence::Strong) } else { (End::Dst, Evidence::Handshake) };
            prop_assert_eq!((label.server, label.evidence), want);
        }

        #[test]
        fn both_ip_versions_get_one_label(
            transport in any_transport(), a in any_port(), b in any_port(), to_group: bool,
            bytes: ([u8; 16], [u8; 16]),
        ) {
            let registry = Registry::builtin();
            let v4 = Segment { to_group, ..segment(transport, a, b) };
            let mut src_addr = bytes.0;
            src_addr[0] = 0x20; // no group's, as the IPv4 one is none
            let v6 = Segment {
                ip_version: IpVersion::V6,
                src_addr: AddressWords::v6(src_addr),
                dst_addr: AddressWords::v6(bytes.1),
                ..v4
            };
            prop_assert_eq!(first_label(&registry, &v4), first_label(&registry, &v6));
        }

        #[test]
        fn a_name_is_that_of_the_servers_port(
            transport in any_transport(), a in any_port(), b in any_port(), a_past in any_past(), b_past in any_past(),
            listens: [bool; 2],
        ) {
            let registry = Registry::builtin();
            let label = label(&registry, &segment(transport, a, b), [a_past, b_past], listens);
            let port = if label.server == End::Src { a } else { b };
            if label.evidence == Evidence::None {
                prop_assert_eq!(label.service, None);
            } else {
                prop_assert_eq!(label.service, registry.service(transport, port));
            }
        }
    }
}
