//! Files for `--services`: any bytes, and whether flows get the names that such a file gives.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use portlabel::decode::{Decoder, Segment};
use portlabel::services::user::{Entry, parse};
use portlabel::services::{Evidence, RESERVED, Registry};
use portlabel::source::Frame;
use portlabel::units::{LinkType, Timestamp, Transport};
use shared::services::seeds;

/// Most faults that are told one by one, and most characters of a message.
const FAULTS_MAX: usize = 10;
const MESSAGE_MAX: usize = 300;

/// A packet from a port to the same port, so that it does not matter which end serves.
fn segment(transport: Transport, port: u16) -> Segment {
    let protocol = match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::UdpLite => 136,
        Transport::Sctp => 132,
        Transport::Dccp => 33,
    };
    let ip = [0x45, 0, 0, 40, 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let ports = [port.to_be_bytes(), port.to_be_bytes()];
    // of TCP: no flags; of DCCP: data; of UDP and UDP-Lite: 20 bytes
    let rest = [0, 20, 0, 0, 4, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0];
    let data = [&ip[..], ports.as_flattened(), &rest].concat();
    let wire_len = u32::try_from(data.len()).expect("short");
    let frame = Frame { ts: Timestamp::from_nanos(0), wire_len, link: LinkType(101), interface: 0, data: &data };
    Decoder::default().decode(&frame).outcome.expect("it has ports")
}

/// The name that counts is that of the last entry of a port.
fn assert_named(registry: &Registry, entries: &[Entry<'_>], transport: Transport, port: u16) {
    let of = if transport == Transport::UdpLite { Transport::Udp } else { transport };
    let want = entries.iter().rfind(|entry| entry.covers(of, port)).expect("it was asked for").name;
    let label = registry.explain(&segment(transport, port)).label;
    assert_eq!(label.service.map(|service| registry.name(service)), Some(want), "{port}/{transport}");
    assert_eq!(label.evidence, Evidence::SamePort, "{port}/{transport}");
}

fuzz_target!(init: seeds(), |input: &[u8]| -> Corpus {
    let lines = input.split(|&byte| byte == b'\n').count();
    let names = match parse(input) {
        Ok(names) => names,
        Err(faults) => {
            assert!((1..=FAULTS_MAX).contains(&faults.first.len()) && faults.first.len() + faults.more <= lines);
            assert!(faults.first.is_sorted_by_key(|fault| fault.line));
            for fault in &faults.first {
                assert!((1..=lines).contains(&fault.line) && fault.what.chars().count() < MESSAGE_MAX, "{fault:?}");
            }
            return Corpus::Keep;
        }
    };
    assert!(names.entries.len() + names.appletalk <= lines);
    let is_name = |name: &str| !name.is_empty() && name.len() < 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
    for entry in &names.entries {
        assert!(is_name(entry.name) && entry.aliases().all(is_name) && entry.first <= entry.last, "{entry:?}");
        assert!(!RESERVED.iter().any(|word| word.eq_ignore_ascii_case(entry.name)), "{entry:?}");
    }
    for iana_names in [false, true] {
        // an input is too short for more names than there may be
        let registry = Registry::new(names.entries.iter(), iana_names).expect("few names");
        for entry in &names.entries {
            for port in [entry.first, entry.last] {
                assert_named(&registry, &names.entries, entry.transport, port);
                if entry.transport == Transport::Udp {
                    assert_named(&registry, &names.entries, Transport::UdpLite, port);
                }
            }
        }
    }
    Corpus::Keep
});
