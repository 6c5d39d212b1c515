//! The ladder: which end of a flow serves, and so which port names it.
//!
//! A rule is a sentence and looks at nothing but its [`Flow`]; the first that decides is the evidence of the label.
//! No rule asks who sent the packet unless the packet itself tells (a handshake, a group address), so exchanging the
//! ends changes nothing.

use super::{End, Evidence, Label, Registry};
use crate::decode::{Handshake, Segment};
use crate::units::ServiceId;

/// End of the system ports and begin of the registered ones (RFC 6335, section 6).
const REGISTERED_FIRST: u16 = 1024;
/// Where Linux starts to take client ports from (`ip_local_port_range` in the kernel's `ip-sysctl` document): from here
/// up, a name says little by itself.
const CLIENT_FIRST: u16 = 32_768;
/// Begin of the dynamic ports, which are never registered (RFC 6335, section 6).
const DYNAMIC_FIRST: u16 = 49_152;

/// What the rules know of a flow: its first segment, and what the registry calls its two ports.
struct Flow<'s> {
    segment: &'s Segment,
    src: Option<ServiceId>,
    dst: Option<ServiceId>,
}

impl Flow<'_> {
    /// The end with the lower port. Equal ports have none: without a handshake the first sender is the client.
    const fn lower(&self) -> End {
        if self.segment.src_port < self.segment.dst_port { End::Src } else { End::Dst }
    }

    /// The end whose port is named and within reach of `rule`, which is given that port and the other one; when both
    /// are, the lower.
    fn named(&self, rule: impl Fn(u16, u16) -> bool) -> Option<End> {
        let (src, dst) = (self.segment.src_port, self.segment.dst_port);
        match (self.src.is_some() && rule(src, dst), self.dst.is_some() && rule(dst, src)) {
            (true, true) => Some(self.lower()),
            (true, false) => Some(End::Src),
            (false, true) => Some(End::Dst),
            (false, false) => None,
        }
    }
}

/// A rule: the end that serves, or nothing when the rule does not apply.
type Rule = fn(&Flow<'_>) -> Option<End>;

/// The rules in the order in which they are tried, which is that of [`Evidence::ALL`]; without one that decides, the
/// flow has no name.
const LADDER: [(Evidence, Rule); 6] = [
    (Evidence::Handshake, handshake),
    (Evidence::Multicast, multicast),
    (Evidence::SamePort, same_port),
    (Evidence::System, system),
    (Evidence::Registered, registered),
    (Evidence::Ephemeral, ephemeral),
];

/// The label of the flow that starts with `segment`.
pub(super) fn label(registry: &Registry, segment: &Segment) -> Label {
    let name = |port| registry.service(segment.transport, port);
    let flow = Flow { segment, src: name(segment.src_port), dst: name(segment.dst_port) };
    for &(evidence, rule) in &LADDER {
        if let Some(server) = rule(&flow) {
            let service = match server {
                End::Src => flow.src,
                End::Dst => flow.dst,
            };
            return Label { service, server, evidence };
        }
    }
    Label { service: None, server: flow.lower(), evidence: Evidence::None }
}

/// Who opens a connection is its client: the opening goes to the server and the server accepts it (RFC 9293,
/// section 3.5; RFC 9260, section 5.1; RFC 4340, section 8.1).
const fn handshake(flow: &Flow<'_>) -> Option<End> {
    match flow.segment.handshake {
        Handshake::Open => Some(End::Dst),
        Handshake::Accept => Some(End::Src),
        Handshake::None => None,
    }
}

/// A group is spoken to by its well-known port; no one sends from a group address (RFC 1122, section 3.2.1.3).
const fn multicast(flow: &Flow<'_>) -> Option<End> {
    if flow.segment.to_group { Some(End::Dst) } else { None }
}

/// Equal ports at both ends name the same service, whoever serves: NTP between servers, ISAKMP, `BACnet`.
const fn same_port(flow: &Flow<'_>) -> Option<End> {
    if flow.segment.src_port == flow.segment.dst_port { Some(flow.lower()) } else { None }
}

/// A system port is given out by IETF review and, on most systems, only to a privileged process (RFC 6335, section 6):
/// the strongest sign of a server that a number alone can be.
fn system(flow: &Flow<'_>) -> Option<End> {
    flow.named(|port, _| port < REGISTERED_FIRST)
}

/// A registered port below those that Linux gives to clients (RFC 6335, section 6).
fn registered(flow: &Flow<'_>) -> Option<End> {
    flow.named(|port, _| (REGISTERED_FIRST..CLIENT_FIRST).contains(&port))
}

/// A named port where clients get theirs too counts only against a dynamic port, which is never registered: else the
/// client's chance number would name the flow.
fn ephemeral(flow: &Flow<'_>) -> Option<End> {
    flow.named(|port, other| port >= CLIENT_FIRST && other >= DYNAMIC_FIRST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::services::tests::segment;
    use crate::units::{AddressWords, IpVersion, Transport};

    #[test]
    fn rules_stand_in_the_order_of_the_evidence() {
        assert!(LADDER.is_sorted_by_key(|(evidence, _)| *evidence));
    }

    #[test]
    fn the_first_rule_that_decides_names_the_flow() {
        use Handshake::{Accept, None as Nothing, Open};
        use Transport::{Tcp, Udp};
        let registry = Registry::builtin();
        #[rustfmt::skip]
        let cases = [
            // name, transport, handshake, to a group, ports, service, server's port, evidence
            ("the opening goes to the server", Tcp, Open, false, (51_000, 443), Some("https"), 443, "handshake"),
            ("the server accepts", Tcp, Accept, false, (443, 51_000), Some("https"), 443, "handshake"),
            ("a named client port never wins", Tcp, Open, false, (3306, 5601), Some("kibana"), 5601, "handshake"),
            ("nor against a port without a name", Tcp, Open, false, (3306, 50_001), None, 50_001, "handshake"),
            ("nor when only the answer is seen", Tcp, Accept, false, (50_001, 80), None, 50_001, "handshake"),
            ("a group serves", Udp, Nothing, true, (53, 5353), Some("mdns"), 5353, "multicast"),
            ("even without a name", Udp, Nothing, true, (53, 50_001), None, 50_001, "multicast"),
            ("equal ports", Udp, Nothing, false, (123, 123), Some("ntp"), 123, "same_port"),
            ("equal ports without a name", Udp, Nothing, false, (50_001, 50_001), None, 50_001, "same_port"),
            ("a system port", Tcp, Nothing, false, (51_000, 443), Some("https"), 443, "system"),
            ("the answer gets the same", Tcp, Nothing, false, (443, 51_000), Some("https"), 443, "system"),
            ("the lower of two system ports", Tcp, Nothing, false, (80, 22), Some("ssh"), 22, "system"),
            ("system before registered", Tcp, Nothing, false, (443, 3306), Some("https"), 443, "system"),
            ("unnamed ports below do not count", Tcp, Nothing, false, (4, 443), Some("https"), 443, "system"),
            ("the last system port", Udp, Nothing, false, (1023, 1022), Some("exp2"), 1022, "system"),
            ("a registered port", Tcp, Nothing, false, (40_001, 5432), Some("postgresql"), 5432, "registered"),
            ("the lower of two registered", Tcp, Nothing, false, (5432, 3306), Some("mysql"), 3306, "registered"),
            ("a name in use counts alike", Tcp, Nothing, false, (25_565, 50_001), Some("minecraft"), 25_565, "registered"),
            ("registered before ephemeral", Udp, Nothing, false, (34_964, 3478), Some("stun"), 3478, "registered"),
            ("weak against a dynamic port", Udp, Nothing, false, (47_808, 50_001), Some("bacnet"), 47_808, "ephemeral"),
            ("weak, and named in the dynamic range", Udp, Nothing, false, (50_001, 51_820), Some("wireguard"), 51_820, "ephemeral"),
            ("weak against anything else", Udp, Nothing, false, (47_808, 40_001), None, 40_001, "none"),
            ("weak against a lower one", Udp, Nothing, false, (34_964, 30_050), None, 30_050, "none"),
            ("both dynamic and named", Udp, Nothing, false, (64_738, 51_413), Some("transmission"), 51_413, "ephemeral"),
            ("no names", Tcp, Nothing, false, (50_001, 50_002), None, 50_001, "none"),
            ("ports 0 and 65535", Tcp, Nothing, false, (65_535, 0), None, 0, "none"),
        ];
        for (name, transport, handshake, to_group, (src, dst), service, port, evidence) in cases {
            let segment = Segment { handshake, to_group, ..segment(transport, src, dst) };
            let label = registry.label(&segment);
            let server_port = if label.server == End::Src { src } else { dst };
            let got = (label.service.map(|id| registry.name(id)), server_port, label.evidence.name());
            assert_eq!(got, (service, port, evidence), "{name}");
        }
    }

    /// A port, those with names as likely as those without.
    fn any_port() -> impl Strategy<Value = u16> {
        prop_oneof![0..1024_u16, 1024..32_768_u16, 32_768..=u16::MAX, Just(443), Just(51_820), Just(44_818)]
    }

    fn any_transport() -> impl Strategy<Value = Transport> {
        proptest::sample::select(&Transport::ALL[..])
    }

    proptest! {
        #[test]
        fn exchanging_the_ends_changes_nothing(transport in any_transport(), a in any_port(), b in any_port()) {
            let registry = Registry::builtin();
            let there = registry.label(&segment(transport, a, b));
            let back = registry.label(&segment(transport, b, a));
            prop_assert_eq!((there.service, there.evidence), (back.service, back.evidence));
            // Equal ports do not tell the ends apart: the first sender is the client both ways.
            prop_assert_eq!(there.server == back.server, a == b);
        }

        #[test]
        fn an_answer_keeps_the_label_of_the_opening(transport in any_transport(), a in any_port(), b in any_port()) {
            let registry = Registry::builtin();
            let open = registry.label(&Segment { handshake: Handshake::Open, ..segment(transport, a, b) });
            let accept = registry.label(&Segment { handshake: Handshake::Accept, ..segment(transport, b, a) });
            prop_assert_eq!((open.service, open.evidence), (accept.service, accept.evidence));
            prop_assert_eq!((open.server, accept.server), (End::Dst, End::Src));
        }

        #[test]
        fn both_ip_versions_get_one_label(
            transport in any_transport(), a in any_port(), b in any_port(), to_group: bool,
            bytes: ([u8; 16], [u8; 16]),
        ) {
            let registry = Registry::builtin();
            let v4 = Segment { to_group, ..segment(transport, a, b) };
            let v6 = Segment {
                ip_version: IpVersion::V6,
                src_addr: AddressWords::v6(bytes.0),
                dst_addr: AddressWords::v6(bytes.1),
                ..v4
            };
            prop_assert_eq!(registry.label(&v4), registry.label(&v6));
        }

        #[test]
        fn a_name_is_that_of_the_servers_port(transport in any_transport(), a in any_port(), b in any_port()) {
            let registry = Registry::builtin();
            let label = registry.label(&segment(transport, a, b));
            let port = if label.server == End::Src { a } else { b };
            if label.evidence == Evidence::None {
                prop_assert_eq!(label.service, None);
            } else {
                prop_assert_eq!(label.service, registry.service(transport, port));
            }
        }
    }
}
