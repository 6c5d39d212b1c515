//! Captures taken apart by the shortest way, which shares nothing with `source`: plain pcap and pcapng, as the fixtures
//! are, and snoop files made of them. It is the independent count of packets and wire bytes.

/// What a capture holds, and where its records end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    pub wire_lens: Vec<u32>,
    /// Offset behind each packet's record.
    pub ends: Vec<usize>,
    /// The last record, of whatever kind, ends where the capture does.
    pub is_whole: bool,
}

impl Records {
    pub fn packets(&self) -> u64 {
        self.wire_lens.len() as u64
    }

    pub fn wire_bytes(&self) -> u64 {
        self.wire_lens.iter().map(|len| u64::from(*len)).sum()
    }
}

/// The whole records of a capture, be it cut.
pub fn records(file: &[u8]) -> Records {
    match file.get(..4) {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => blocks(file),
        Some(b"snoo") => snoop_records(file),
        Some(magic) => pcap_records(file, matches!(magic, [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1])),
        None => Records::default(),
    }
}

/// pcap: a header of 24 bytes; each record has 8 bytes of time, the captured length, the wire length.
fn pcap_records(file: &[u8], is_little: bool) -> Records {
    let (mut found, mut at) = (Records::default(), 24);
    while let (Some(captured_len), Some(wire_len)) = (word(file, at + 8, is_little), word(file, at + 12, is_little)) {
        if at + 16 + captured_len as usize > file.len() {
            return found;
        }
        at += 16 + captured_len as usize;
        found.wire_lens.push(wire_len);
        found.ends.push(at);
    }
    Records { is_whole: at == file.len(), ..found }
}

/// snoop: a header of 16 bytes; each record has the wire length, the captured length, its own length, and 12 bytes more.
fn snoop_records(file: &[u8]) -> Records {
    let (mut found, mut at) = (Records::default(), 16);
    while let (Some(wire_len), Some(record_len)) = (word(file, at, false), word(file, at + 8, false)) {
        if at + record_len as usize > file.len() {
            return found;
        }
        at += record_len as usize;
        found.wire_lens.push(wire_len);
        found.ends.push(at);
    }
    Records { is_whole: at == file.len(), ..found }
}

/// pcapng: blocks with type and total length; enhanced (6) and obsolete (2) packet blocks have the wire length at 24,
/// simple ones (3) at 8. A section header (0x0a0d0d0a) says the byte order.
fn blocks(file: &[u8]) -> Records {
    let (mut found, mut at, mut is_little) = (Records::default(), 0, true);
    while let Some(kind) = word(file, at, is_little) {
        if kind == 0x0a0d_0d0a {
            is_little = file.get(at + 8) == Some(&0x4d);
        }
        let Some(total_len) = word(file, at + 4, is_little) else { return found };
        let (start, end) = (at, at + total_len as usize);
        if end > file.len() || total_len < 12 {
            return found;
        }
        at = end;
        if let Some(offset) = [(6, 24), (2, 24), (3, 8)].iter().find(|(packet, _)| *packet == kind).map(|(_, o)| o) {
            found.wire_lens.push(word(file, start + offset, is_little).expect("in the block"));
            found.ends.push(end);
        }
    }
    Records { is_whole: at == file.len(), ..found }
}

fn word(file: &[u8], at: usize, is_little: bool) -> Option<u32> {
    let bytes = *file.get(at..)?.first_chunk::<4>()?;
    Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
}

/// A little-endian pcap file of Ethernet frames, each with its time in nanoseconds.
pub fn pcap_file(packets: &[(u64, &[u8])]) -> Vec<u8> {
    let mut file = pcap_header();
    for (nanos, frame) in packets {
        file.extend(pcap_record(*nanos, frame));
    }
    file
}

/// The header of a little-endian pcap file: nanoseconds, Ethernet.
pub fn pcap_header() -> Vec<u8> {
    let words = [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 262_144, 1_u32];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A record of such a file.
pub fn pcap_record(nanos: u64, frame: &[u8]) -> Vec<u8> {
    let len = u32::try_from(frame.len()).expect("a short frame");
    let second = u32::try_from(nanos / 1_000_000_000).expect("before 2106");
    let fraction = u32::try_from(nanos % 1_000_000_000).expect("below a second");
    let header = [second, fraction, len, len];
    header.iter().flat_map(|word| word.to_le_bytes()).chain(frame.iter().copied()).collect()
}

/// The packets of a little-endian pcap file of Ethernet frames, in microseconds, as a snoop file.
pub fn as_snoop_file(pcap: &[u8]) -> Vec<u8> {
    assert!(pcap.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) && word(pcap, 20, true) == Some(1), "another kind of pcap");
    let (mut file, mut at) = (b"snoop\0\0\0\0\0\0\x02\0\0\0\x04".to_vec(), 24);
    while let Some(second) = word(pcap, at, true) {
        let [micros, captured_len, wire_len] = [4, 8, 12].map(|skip| word(pcap, at + skip, true).expect("a header"));
        let (start, end) = (at + 16, at + 16 + captured_len as usize);
        let record_len = (24 + captured_len).next_multiple_of(4);
        let header = [wire_len, captured_len, record_len, 0, second, micros];
        file.extend(header.iter().flat_map(|word| word.to_be_bytes()));
        file.extend(&pcap[start..end]);
        file.resize(file.len().next_multiple_of(4), 0);
        at = end;
    }
    file
}

#[test]
fn records_are_counted_in_all_containers() {
    let pcap = pcap_file(&[(1, &[0; 60]), (2, &[0; 42])]);
    let want = Records { wire_lens: vec![60, 42], ends: vec![24 + 76, 24 + 76 + 58], is_whole: true };
    assert_eq!(records(&pcap), want);
    let cut = Records { wire_lens: vec![60], ends: vec![100], is_whole: false };
    assert_eq!(records(&pcap[..157]), cut);
    let mut micros = pcap_file(&[(1_000, &[0; 60]), (2_000, &[0; 42])]);
    micros[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    let snoop = as_snoop_file(&micros);
    let want = Records { wire_lens: vec![60, 42], ends: vec![16 + 84, 16 + 84 + 68], is_whole: true };
    assert_eq!(records(&snoop), want);
    assert_eq!(records(&snoop[..167]), Records { wire_lens: vec![60], ends: vec![100], is_whole: false });
    // a section, an interface, and a packet of 3 bytes captured of 9, in either byte order
    let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
    let packet = [1, 20, 1, 0, 20, 6, 36, 0, 0, 0, 3, 9, 0, 36_u32];
    let words: Vec<u32> = section.into_iter().chain(packet).collect();
    for bytes in [u32::to_le_bytes as fn(u32) -> [u8; 4], u32::to_be_bytes] {
        let pcapng: Vec<u8> = words.iter().flat_map(|word| bytes(*word)).collect();
        assert_eq!(records(&pcapng), Records { wire_lens: vec![9], ends: vec![84], is_whole: true });
    }
}
