//! Quantities and identifiers that every layer speaks in: a number never travels without its unit, nor text from outside
//! without an end.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

/// Text from outside as messages have it, whose length nobody knows: of what is long, the beginning and the end.
#[must_use]
pub fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, 120, 80)
}

/// Text of which no more is left than so many characters of its beginning and its end.
#[must_use]
pub fn cut_to(text: &str, beginning: usize, end: usize) -> Cow<'_, str> {
    let places = || text.char_indices().map(|(at, _)| at);
    match places().nth(beginning).zip(places().nth_back(end.saturating_sub(1))) {
        Some((beginning, end)) if beginning < end => format!("{}…{}", &text[..beginning], &text[end..]).into(),
        _ => text.into(),
    }
}

/// Capture time: nanoseconds since 1970-01-01T00:00:00Z, always the packet's own.
///
/// Range: the years 1677 to 2262; a capture that claims a time beyond it gets the nearest end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time that can be told.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest.
    pub const MAX: Self = Self(i64::MAX);

    /// The time `nanos` nanoseconds after the Unix epoch (before it when negative).
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// As [`Timestamp::from_nanos`], from a wider number: clamped to the range of the type.
    #[must_use]
    pub fn from_wide_nanos(nanos: i128) -> Self {
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds since `earlier`; zero when the capture steps backwards.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        if self.0 <= earlier.0 { 0 } else { self.0.abs_diff(earlier.0) }
    }

    /// This time plus `duration`, clamped to the range of the type.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// This time less `duration`, clamped to the range of the type.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// The largest multiple of `step` since the Unix epoch that is not after this time.
    ///
    /// `step` must not be zero; the command line refuses that.
    #[must_use]
    pub fn floor_to(self, step: Duration) -> Self {
        let step = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1);
        Self(self.0.checked_sub(self.0.rem_euclid(step)).unwrap_or(i64::MIN))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with nine fractional digits, the form of every output.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", jiff::Timestamp::from_nanosecond(self.0.into()).unwrap_or_default())
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    /// RFC 3339, as it is written.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let nanos = i64::try_from(time.as_nanosecond());
        nanos.map(Self).map_err(|_| serde::de::Error::custom(format_args!("{text} is not within 1677 to 2262")))
    }
}

/// A transport protocol that carries port numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transport {
    /// RFC 9293, IP protocol 6.
    Tcp,
    /// RFC 768, IP protocol 17.
    Udp,
    /// RFC 3828, IP protocol 136; shares the port names of UDP.
    UdpLite,
    /// RFC 9260, IP protocol 132.
    Sctp,
    /// RFC 4340, IP protocol 33.
    Dccp,
}

impl Transport {
    /// Every transport, in the order in which outputs list them.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::UdpLite, Self::Sctp, Self::Dccp];

    /// Its first packets tell who opens a connection, and who accepts it.
    #[must_use]
    pub const fn has_handshake(self) -> bool {
        matches!(self, Self::Tcp | Self::Sctp | Self::Dccp)
    }

    /// The name in outputs and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpLite => "udplite",
            Self::Sctp => "sctp",
            Self::Dccp => "dccp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Transport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Transport {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|transport| transport.name() == name);
        known.ok_or_else(|| serde::de::Error::custom(format_args!("'{name}' is no transport that carries ports")))
    }
}

/// IP version of a packet; both ends of a packet share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IpVersion {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// An IP address as two words, so that both versions compare and hash alike, and without a branch: an IPv4 address is in
/// the first word, the second is zero; the byte that comes first on the wire is the lowest of the first word. It means
/// something only beside its [`IpVersion`]. The order is total, and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressWords(pub [u64; 2]);

impl AddressWords {
    /// An IPv4 address.
    #[must_use]
    #[inline]
    pub const fn v4(address: [u8; 4]) -> Self {
        Self([u32::from_le_bytes(address) as u64, 0])
    }

    /// An IPv6 address.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub const fn v6(address: [u8; 16]) -> Self {
        let address = u128::from_le_bytes(address);
        Self([address as u64, (address >> 64) as u64])
    }

    /// The byte that comes first on the wire.
    #[must_use]
    #[inline]
    pub const fn first_byte(self) -> u8 {
        self.0[0].to_le_bytes()[0]
    }

    /// The address, read as one of `version`, is that of a group: multicast (224.0.0.0/4, RFC 5771; ff00::/8, RFC 4291,
    /// section 2.7) or the limited broadcast (255.255.255.255, RFC 919, section 7).
    #[must_use]
    pub fn is_group(self, version: IpVersion) -> bool {
        match self.to_ip(version) {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        }
    }

    /// The address, read as one of `version`.
    #[must_use]
    pub fn to_ip(self, version: IpVersion) -> IpAddr {
        let [first, second] = self.0;
        match version {
            #[expect(clippy::cast_possible_truncation, reason = "an IPv4 address takes half of the word")]
            IpVersion::V4 => IpAddr::V4((first as u32).to_le_bytes().into()),
            IpVersion::V6 => IpAddr::V6((u128::from(first) | u128::from(second) << 64).to_le_bytes().into()),
        }
    }
}

/// One end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// IP address.
    pub addr: IpAddr,
    /// Port number, 0 to 65535.
    pub port: u16,
}

impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut end = serializer.serialize_struct("Endpoint", 2)?;
        end.serialize_field("addr", &self.addr)?;
        end.serialize_field("port", &self.port)?;
        end.end()
    }
}

/// What the first byte of a frame is: the `LINKTYPE_` number of a capture file
/// (the registry of link-layer header types that libpcap keeps), 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet II or IEEE 802.3.
    pub const ETHERNET: Self = Self(1);
    /// Experimental Ethernet, of three megabits.
    pub const ETHERNET_3MB: Self = Self(2);
    /// AX.25, amateur packet radio.
    pub const AX25: Self = Self(3);
    /// Token Ring (IEEE 802.5).
    pub const TOKEN_RING: Self = Self(6);
    /// ARCnet, with BSD's header.
    pub const ARCNET_BSD: Self = Self(7);
    /// Serial line IP, with libpcap's header.
    pub const SLIP: Self = Self(8);
    /// PPP, or Cisco's HDLC.
    pub const PPP: Self = Self(9);
    /// FDDI.
    pub const FDDI: Self = Self(10);
    /// [`LinkType::ATM_RFC1483`] as most systems number it; files should say 100, some say this.
    pub const ATM_RFC1483_DLT: Self = Self(11);
    /// [`LinkType::RAW`] as most systems number it; files should say 101, some say this.
    pub const RAW_BSD: Self = Self(12);
    /// [`LinkType::ENC`] as `OpenBSD` numbers it.
    pub const ENC_OPENBSD: Self = Self(13);
    /// [`LinkType::RAW`] as `OpenBSD` numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// [`LinkType::ATM_CLIP`] as three sets of old patches numbered it: this, 18 and 19.
    pub const ATM_CLIP_OLD: Self = Self(16);
    /// See [`LinkType::ATM_CLIP_OLD`].
    pub const ATM_CLIP_SUSE: Self = Self(18);
    /// See [`LinkType::ATM_CLIP_OLD`].
    pub const ATM_CLIP_DLT: Self = Self(19);
    /// Redback's routers.
    pub const REDBACK: Self = Self(32);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPP over Ethernet without the Ethernet header.
    pub const PPP_ETHER: Self = Self(51);
    /// Symantec's firewalls.
    pub const SYMANTEC: Self = Self(99);
    /// ATM adaptation layer 5 with LLC.
    pub const ATM_RFC1483: Self = Self(100);
    /// IP without a link header; the version is in the first nibble.
    pub const RAW: Self = Self(101);
    /// Cisco's HDLC.
    pub const C_HDLC: Self = Self(104);
    /// 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// Linux' classical IP over ATM.
    pub const ATM_CLIP: Self = Self(106);
    /// Frame Relay.
    pub const FRELAY: Self = Self(107);
    /// `OpenBSD` loopback: as [`LinkType::NULL`], in network byte order.
    pub const LOOP: Self = Self(108);
    /// `OpenBSD` IPsec.
    pub const ENC: Self = Self(109);
    /// Ethernet emulated on ATM.
    pub const LANE8023: Self = Self(110);
    /// [`LinkType::C_HDLC`] of `NetBSD`.
    pub const NETBSD_HDLC: Self = Self(112);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Apple's `LocalTalk`.
    pub const LTALK: Self = Self(114);
    /// Packet filter log of the BSDs.
    pub const PFLOG: Self = Self(117);
    /// 802.11 with a Prism header.
    pub const IEEE802_11_PRISM: Self = Self(119);
    /// IP over Fibre Channel.
    pub const IP_OVER_FC: Self = Self(122);
    /// SunATM.
    pub const SUNATM: Self = Self(123);
    /// 802.11 with a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// Tazmen sniffer protocol.
    pub const TZSP: Self = Self(128);
    /// ARCnet, with Linux' header.
    pub const ARCNET_LINUX: Self = Self(129);
    /// Juniper's multilink PPP.
    pub const JUNIPER_MLPPP: Self = Self(130);
    /// Juniper's multilink Frame Relay (FRF.15).
    pub const JUNIPER_MLFR: Self = Self(131);
    /// Juniper's encryption card.
    pub const JUNIPER_ES: Self = Self(132);
    /// Juniper's mobile gateway.
    pub const JUNIPER_GGSN: Self = Self(133);
    /// Juniper's multilink Frame Relay (FRF.16).
    pub const JUNIPER_MFR: Self = Self(134);
    /// Juniper's ATM, second card.
    pub const JUNIPER_ATM2: Self = Self(135);
    /// Juniper's services card.
    pub const JUNIPER_SERVICES: Self = Self(136);
    /// Juniper's ATM, first card.
    pub const JUNIPER_ATM1: Self = Self(137);
    /// IP over IEEE 1394, with Apple's header.
    pub const APPLE_IP_OVER_IEEE1394: Self = Self(138);
    /// Cable modems.
    pub const DOCSIS: Self = Self(143);
    /// For private use; Apple's [`LinkType::PKTAP`] in some files.
    pub const USER2: Self = Self(149);
    /// 802.11 with an AVS header.
    pub const IEEE802_11_AVS: Self = Self(163);
    /// Juniper's monitoring card.
    pub const JUNIPER_MONITOR: Self = Self(164);
    /// PPP by pppd, with a direction for the address.
    pub const PPP_PPPD: Self = Self(166);
    /// Juniper's PPP over Ethernet.
    pub const JUNIPER_PPPOE: Self = Self(167);
    /// Juniper's PPP over Ethernet over ATM.
    pub const JUNIPER_PPPOE_ATM: Self = Self(168);
    /// Generic framing, transparent.
    pub const GFP_T: Self = Self(170);
    /// Generic framing, mapped by frames.
    pub const GFP_F: Self = Self(171);
    /// [`LinkType::ERF`] around Ethernet.
    pub const ERF_ETH: Self = Self(175);
    /// [`LinkType::ERF`] around packets on SONET.
    pub const ERF_POS: Self = Self(176);
    /// Juniper's Ethernet.
    pub const JUNIPER_ETHER: Self = Self(178);
    /// Juniper's PPP.
    pub const JUNIPER_PPP: Self = Self(179);
    /// Juniper's Frame Relay.
    pub const JUNIPER_FRELAY: Self = Self(180);
    /// Juniper's HDLC.
    pub const JUNIPER_CHDLC: Self = Self(181);
    /// Multilink Frame Relay (FRF.16).
    pub const MFR: Self = Self(182);
    /// Juniper's voice card.
    pub const JUNIPER_VP: Self = Self(183);
    /// USB, with `FreeBSD`'s header.
    pub const USB_FREEBSD: Self = Self(186);
    /// Bluetooth, between host and controller.
    pub const BLUETOOTH_HCI_H4: Self = Self(187);
    /// USB, with Linux' header.
    pub const USB_LINUX: Self = Self(189);
    /// Per-packet information around another link type.
    pub const PPI: Self = Self(192);
    /// Juniper's integrated services.
    pub const JUNIPER_ISM: Self = Self(194);
    /// 802.15.4, low-power radio.
    pub const IEEE802_15_4: Self = Self(195);
    /// SITA's lines between airports.
    pub const SITA: Self = Self(196);
    /// Endace's records around another link type.
    pub const ERF: Self = Self(197);
    /// Juniper's secure tunnels.
    pub const JUNIPER_ST: Self = Self(200);
    /// Bluetooth behind a direction.
    pub const BLUETOOTH_HCI_H4_WITH_PHDR: Self = Self(201);
    /// AX.25 behind a KISS byte.
    pub const AX25_KISS: Self = Self(202);
    /// PPP behind a direction.
    pub const PPP_WITH_DIR: Self = Self(204);
    /// Cisco's HDLC behind a direction.
    pub const C_HDLC_WITH_DIR: Self = Self(205);
    /// Frame Relay behind a direction.
    pub const FRELAY_WITH_DIR: Self = Self(206);
    /// 802.15.4 with its preamble.
    pub const IEEE802_15_4_NONASK_PHY: Self = Self(215);
    /// MPLS labels.
    pub const MPLS: Self = Self(219);
    /// USB, with Linux' header, padded.
    pub const USB_LINUX_MMAPPED: Self = Self(220);
    /// Fibre Channel with its own header.
    pub const FC_2: Self = Self(224);
    /// Fibre Channel with its own header and delimiters.
    pub const FC_2_WITH_FRAME_DELIMS: Self = Self(225);
    /// Solaris' packets between zones.
    pub const IPNET: Self = Self(226);
    /// IPv4 without a link header.
    pub const IPV4: Self = Self(228);
    /// IPv6 without a link header.
    pub const IPV6: Self = Self(229);
    /// 802.15.4 without its check sequence.
    pub const IEEE802_15_4_NOFCS: Self = Self(230);
    /// Juniper's virtual services.
    pub const JUNIPER_VS: Self = Self(232);
    /// Juniper's SRX, from end to end.
    pub const JUNIPER_SRX_E2E: Self = Self(233);
    /// Juniper's circuit emulation.
    pub const JUNIPER_ATM_CEMIC: Self = Self(238);
    /// Linux' packet filter log.
    pub const NFLOG: Self = Self(239);
    /// Ethernet behind a word of Hilscher's analyzer.
    pub const NETANALYZER: Self = Self(240);
    /// Ethernet behind a word of Hilscher's analyzer and the preamble.
    pub const NETANALYZER_TRANSPARENT: Self = Self(241);
    /// IP over InfiniBand.
    pub const IPOIB: Self = Self(242);
    /// Transport streams of television.
    pub const MPEG_2_TS: Self = Self(243);
    /// Packet filter states of `OpenBSD`.
    pub const PFSYNC: Self = Self(246);
    /// `InfiniBand` with its own headers.
    pub const INFINIBAND: Self = Self(247);
    /// USB, with the header of `USBPcap` on Windows.
    pub const USBPCAP: Self = Self(249);
    /// What Wireshark exports of packets.
    pub const WIRESHARK_UPPER_PDU: Self = Self(252);
    /// Netlink, between Linux and its programs.
    pub const NETLINK: Self = Self(253);
    /// Bluetooth, with the header of Linux' monitor.
    pub const BLUETOOTH_LINUX_MONITOR: Self = Self(254);
    /// Apple's header around another link type.
    pub const PKTAP: Self = Self(258);
    /// Ethernet passive optical network.
    pub const EPON: Self = Self(259);
    /// USB, with the header of macOS.
    pub const USB_DARWIN: Self = Self(266);
    /// Cable modems, with the header of Excentis' analyzer.
    pub const DOCSIS31_XRA31: Self = Self(273);
    /// Ethernet with preamble, maybe interrupted (IEEE 802.3br).
    pub const ETHERNET_MPACKET: Self = Self(274);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// Elektrobit's recorder of vehicle buses.
    pub const EBHSCR: Self = Self(279);
    /// VPP's trace of packets through its graph.
    pub const VPP_DISPATCH: Self = Self(280);
    /// Ethernet with a tag of Broadcom switches.
    pub const DSA_TAG_BRCM: Self = Self(281);
    /// Ethernet behind a tag of Broadcom switches.
    pub const DSA_TAG_BRCM_PREPEND: Self = Self(282);
    /// 802.15.4 behind what the receiver knows.
    pub const IEEE802_15_4_TAP: Self = Self(283);
    /// Ethernet with a tag of Marvell switches.
    pub const DSA_TAG_DSA: Self = Self(284);
    /// Ethernet with a typed tag of Marvell switches.
    pub const DSA_TAG_EDSA: Self = Self(285);
    /// USB as it is on the cable.
    pub const USB_2_0: Self = Self(288);
    /// ATSC's link layer, television.
    pub const ATSC_ALP: Self = Self(289);
    /// Ethernet before what Hilscher's newer analyzer adds.
    pub const NETANALYZER_NG: Self = Self(291);
    /// [`LinkType::USB_2_0`] at full speed.
    pub const USB_2_0_FULL_SPEED: Self = Self(294);
    /// [`LinkType::USB_2_0`] at high speed.
    pub const USB_2_0_HIGH_SPEED: Self = Self(295);
    /// 802.11 behind a header of Shomiti's Surveyor, which writes snoop files.
    pub const SURVEYOR_WIFI: Self = Self::from_snoop(18);
    /// IP over InfiniBand in snoop files, without the global route header of [`LinkType::IPOIB`].
    pub const SNOOP_IPOIB: Self = Self::from_snoop(26);

    /// Where datalink types of snoop files begin that the registry has no number for: it leaves those from 65,001 on to
    /// private use (draft-ietf-opsawg-pcaplinktype).
    const SNOOP: u16 = 0xff00;
    /// The first bit of a datalink type of the system's own (DLPI 2.0): it takes the first bit of a byte.
    const SNOOP_PRIVATE: (u32, u16) = (1 << 31, 1 << 7);
    /// Any other.
    const SNOOP_OTHER: Self = Self(0xffff);

    /// What stands for a datalink type of snoop files (RFC 1761, section 3) that has no number in the registry. Numbers
    /// that nobody has given out yet, from 127 on, become one.
    #[must_use]
    pub const fn from_snoop(datalink: u32) -> Self {
        let (private_bit, short_bit) = Self::SNOOP_PRIVATE;
        let number = datalink & !private_bit;
        if number >= 0x7f {
            return Self::SNOOP_OTHER;
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
        let short = number as u16 | if datalink & private_bit != 0 { short_bit } else { 0 };
        Self(Self::SNOOP | short)
    }
}

impl fmt::Display for LinkType {
    /// The number; with the one that a snoop file has, where this one is made from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(short) = self.0.checked_sub(Self::SNOOP) else { return self.0.fmt(f) };
        let (private_bit, short_bit) = Self::SNOOP_PRIVATE;
        let number = u32::from(short & !short_bit);
        match *self {
            Self::SNOOP_OTHER => write!(f, "{} (another of snoop files)", self.0),
            _ if short & short_bit != 0 => write!(f, "{} (0x{:x} of snoop files)", self.0, private_bit | number),
            _ => write!(f, "{} ({number} of snoop files)", self.0),
        }
    }
}

/// A service name of the registry: an index, meaningful only beside the registry that gave it.
/// `Option<ServiceId>` takes two bytes, the entry of a port table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(NonZeroU16);

impl ServiceId {
    /// How many ids there are.
    pub const COUNT: usize = u16::MAX as usize;

    /// The id of the name at `index` of the registry, counted from 0; `None` past 65,534.
    #[must_use]
    pub const fn from_index(index: usize) -> Option<Self> {
        if index >= Self::COUNT {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
        match NonZeroU16::new(index as u16 + 1) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// Where the name stands in the registry, counted from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

const _: () = assert!(size_of::<Option<ServiceId>>() == 2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_in_its_middle() {
        for short in [String::new(), "a".repeat(200), "é".repeat(200)] {
            assert_eq!(cut(&short), short);
        }
        let long = format!("{}{}{}", "é".repeat(120), "x".repeat(1_000), "ü".repeat(80));
        assert_eq!(cut(&long), format!("{}…{}", "é".repeat(120), "ü".repeat(80)));
    }

    #[test]
    fn timestamps_print_as_rfc_3339_with_nanoseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_769_853_605_000_000_001, "2026-01-31T10:00:05.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ];
        for (nanos, want) in cases {
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), want, "{nanos}");
        }
    }

    #[test]
    fn floor_is_a_multiple_not_after() {
        let second = Duration::from_secs(1);
        for (nanos, want) in [(0, 0), (999_999_999, 0), (1_000_000_000, 1_000_000_000), (-1, -1_000_000_000)] {
            assert_eq!(Timestamp::from_nanos(nanos).floor_to(second).as_nanos(), want, "{nanos}");
        }
        assert_eq!(Timestamp::from_nanos(i64::MIN).floor_to(second).as_nanos(), i64::MIN);
    }

    #[test]
    fn link_types_print_as_their_number() {
        let cases = [
            (LinkType::ETHERNET, "1"),
            (LinkType(65_279), "65279"),
            (LinkType::from_snoop(0), "65280 (0 of snoop files)"),
            (LinkType::from_snoop(5), "65285 (5 of snoop files)"),
            (LinkType::SNOOP_IPOIB, "65306 (26 of snoop files)"),
            (LinkType::from_snoop(126), "65406 (126 of snoop files)"),
            (LinkType::from_snoop(127), "65535 (another of snoop files)"),
            (LinkType::from_snoop(0x8000_0003), "65411 (0x80000003 of snoop files)"),
            (LinkType::from_snoop(0x8000_007e), "65534 (0x8000007e of snoop files)"),
            (LinkType::from_snoop(u32::MAX), "65535 (another of snoop files)"),
            (LinkType(65_407), "65407 (127 of snoop files)"),
        ];
        for (link, want) in cases {
            assert_eq!(link.to_string(), want);
        }
    }

    #[test]
    fn service_ids_are_indices() {
        assert_eq!(ServiceId::from_index(0).map(ServiceId::index), Some(0));
        assert_eq!(ServiceId::from_index(65_534).map(ServiceId::index), Some(65_534));
        assert_eq!(ServiceId::from_index(65_535), None);
    }
}
