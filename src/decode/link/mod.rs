//! Link layer: what a frame of each link type begins with. One file a family; a link type is a row of [`LINKS`].

mod atm;
mod bluetooth;
mod broadcast;
mod bus;
mod cooked;
mod ethernet;
mod frame_relay;
mod gfp;
mod guess;
mod juniper;
mod llc;
mod loopback;
mod lowpan;
mod netlink;
mod ppp;
mod ring;
mod tags;
mod usb;
mod wifi;
mod wrapped;

pub(super) use ethernet::{EVERYBODY, ethernet, tagged};
pub(super) use frame_relay::frame_relay;
pub(super) use guess::{looks_like_ethernet, looks_like_ip};
pub(super) use llc::llc;
pub(super) use ppp::{ADDRESS_AND_CONTROL as PPP_ADDRESS_AND_CONTROL, ppp, pppoe, stuffed as ppp_stuffed};
pub(super) use tags::{backbone, cisco_metadata, e_tag, fabric_path, macsec, r_tag, redundancy, trill, vn_tag};
pub(super) use wifi::{wifi, wifi_tunnelled};
pub(super) use wrapped::sniffer;

use super::peel::{self, Header, Next, Payload, Step};
use super::{Portless, tunnel};
use crate::units::LinkType;

/// The IP packet of a frame of the most frequent kinds; `None` is to be looked at header by header.
#[inline(always)]
pub(super) fn straight(link: LinkType, frame: &[u8]) -> Option<Payload<'_>> {
    match link {
        LinkType::ETHERNET => ethernet::straight(frame),
        LinkType::RAW => Some(Payload::new(frame)),
        LinkType::LINUX_SLL => ip_behind(cooked::version_1(Payload::new(frame))),
        LinkType::LINUX_SLL2 => ip_behind(cooked::version_2(Payload::new(frame))),
        _ => None,
    }
}

/// The IP packet that a header leads to at once.
#[inline(always)]
fn ip_behind(step: Step<'_>) -> Option<Payload<'_>> {
    match step {
        Ok(Next::Ip(payload)) => Some(payload),
        _ => None,
    }
}

/// Length of what the capturing system puts before the link header of a frame, to tell of its direction or circuit, in bytes.
/// It was not on the wire, and is counted in the length all the same. (Where the link header itself was not captured, as in
/// cooked captures, what stands in its place counts.)
pub(super) const fn pseudo_header_len(link: LinkType) -> u32 {
    match link {
        LinkType::SUNATM | LinkType::BLUETOOTH_HCI_H4_WITH_PHDR | LinkType::BLUETOOTH_LINUX_MONITOR => 4,
        LinkType::PPP_WITH_DIR | LinkType::C_HDLC_WITH_DIR | LinkType::FRELAY_WITH_DIR => 1,
        _ => 0,
    }
}

/// Link types, each with its first header.
const LINKS: &[(LinkType, Header)] = &[
    (LinkType::NULL, loopback::family),
    (LinkType::ETHERNET, ethernet),
    (LinkType::ETHERNET_3MB, bus::experimental_ethernet),
    (LinkType::AX25, bus::ax25),
    (LinkType::TOKEN_RING, ring::token_ring),
    (LinkType::ARCNET_BSD, bus::arcnet),
    (LinkType::SLIP, loopback::serial_line),
    (LinkType::PPP, ppp::serial),
    (LinkType::FDDI, ring::fddi),
    (LinkType::ATM_RFC1483_DLT, atm::multiprotocol),
    (LinkType::RAW_BSD, peel::ip),
    (LinkType::ENC_OPENBSD, loopback::ipsec),
    (LinkType::RAW_OPENBSD, peel::ip),
    (LinkType::ATM_CLIP_OLD, atm::classical_ip),
    (LinkType::ATM_CLIP_SUSE, atm::classical_ip),
    (LinkType::ATM_CLIP_DLT, atm::classical_ip),
    (LinkType::REDBACK, wrapped::smart_edge),
    (LinkType::PPP_HDLC, ppp::serial),
    (LinkType::PPP_ETHER, pppoe),
    (LinkType::SYMANTEC, wrapped::firewall),
    (LinkType::ATM_RFC1483, atm::multiprotocol),
    (LinkType::RAW, peel::ip),
    (LinkType::C_HDLC, ppp::serial),
    (LinkType::IEEE802_11, wifi),
    (LinkType::ATM_CLIP, atm::classical_ip),
    (LinkType::FRELAY, frame_relay),
    (LinkType::LOOP, loopback::family),
    (LinkType::ENC, loopback::ipsec),
    (LinkType::LANE8023, atm::lan_emulation),
    (LinkType::NETBSD_HDLC, ppp::cisco_hdlc),
    (LinkType::LINUX_SLL, cooked::version_1),
    (LinkType::LTALK, bus::local_talk),
    (LinkType::PFLOG, loopback::filter_log),
    (LinkType::IEEE802_11_PRISM, wifi::prism),
    (LinkType::IP_OVER_FC, ring::fibre_channel),
    (LinkType::SUNATM, atm::sun),
    (LinkType::IEEE802_11_RADIOTAP, wifi::radiotap),
    (LinkType::TZSP, sniffer),
    (LinkType::ARCNET_LINUX, bus::arcnet_linux),
    (LinkType::JUNIPER_MLPPP, juniper::multilink_ppp),
    (LinkType::JUNIPER_MLFR, juniper::short_cookie),
    (LinkType::JUNIPER_ES, juniper::guessed),
    (LinkType::JUNIPER_GGSN, juniper::long_cookie),
    (LinkType::JUNIPER_MFR, juniper::short_cookie),
    (LinkType::JUNIPER_ATM2, juniper::long_cookie),
    (LinkType::JUNIPER_SERVICES, juniper::long_cookie),
    (LinkType::JUNIPER_ATM1, juniper::short_cookie),
    (LinkType::APPLE_IP_OVER_IEEE1394, bus::firewire),
    (LinkType::DOCSIS, tags::docsis),
    (LinkType::USER2, wrapped::all_interfaces_private),
    (LinkType::IEEE802_11_AVS, wifi::avs),
    (LinkType::JUNIPER_MONITOR, juniper::long_cookie),
    (LinkType::PPP_PPPD, ppp::pppd),
    (LinkType::JUNIPER_PPPOE, juniper::guessed),
    (LinkType::JUNIPER_PPPOE_ATM, juniper::guessed),
    (LinkType::GFP_T, gfp::generic_framing),
    (LinkType::GFP_F, gfp::generic_framing),
    (LinkType::ERF_ETH, wrapped::extensible_record),
    (LinkType::ERF_POS, wrapped::extensible_record),
    (LinkType::JUNIPER_ETHER, juniper::ethernet),
    (LinkType::JUNIPER_PPP, juniper::ppp),
    (LinkType::JUNIPER_FRELAY, juniper::frame_relay),
    (LinkType::JUNIPER_CHDLC, juniper::hdlc),
    (LinkType::MFR, frame_relay::multilink),
    (LinkType::JUNIPER_VP, juniper::guessed),
    (LinkType::USB_FREEBSD, usb::freebsd),
    (LinkType::BLUETOOTH_HCI_H4, bluetooth::uart),
    (LinkType::USB_LINUX, usb::linux),
    (LinkType::PPI, wrapped::per_packet_information),
    (LinkType::JUNIPER_ISM, juniper::guessed),
    (LinkType::IEEE802_15_4, lowpan::radio),
    (LinkType::SITA, wrapped::airline),
    (LinkType::ERF, wrapped::extensible_record),
    (LinkType::JUNIPER_ST, juniper::guessed),
    (LinkType::BLUETOOTH_HCI_H4_WITH_PHDR, bluetooth::uart_with_direction),
    (LinkType::AX25_KISS, bus::ax25_kiss),
    (LinkType::PPP_WITH_DIR, ppp::ppp_with_direction),
    (LinkType::C_HDLC_WITH_DIR, ppp::cisco_hdlc_with_direction),
    (LinkType::FRELAY_WITH_DIR, frame_relay::frame_relay_with_direction),
    (LinkType::IEEE802_15_4_NONASK_PHY, lowpan::radio_with_preamble),
    (LinkType::MPLS, tunnel::mpls),
    (LinkType::USB_LINUX_MMAPPED, usb::linux_mapped),
    (LinkType::FC_2, ring::fibre_channel_frame),
    (LinkType::FC_2_WITH_FRAME_DELIMS, ring::fibre_channel_delimited),
    (LinkType::IPNET, loopback::solaris),
    (LinkType::IPV4, peel::ip),
    (LinkType::IPV6, peel::ip),
    (LinkType::IEEE802_15_4_NOFCS, lowpan::radio),
    (LinkType::JUNIPER_VS, juniper::guessed),
    (LinkType::JUNIPER_SRX_E2E, juniper::guessed),
    (LinkType::JUNIPER_ATM_CEMIC, juniper::guessed),
    (LinkType::NFLOG, netlink::filter_log),
    (LinkType::NETANALYZER, tags::netanalyzer),
    (LinkType::NETANALYZER_TRANSPARENT, tags::netanalyzer_transparent),
    (LinkType::IPOIB, bus::infiniband),
    (LinkType::MPEG_2_TS, broadcast::transport_stream),
    (LinkType::PFSYNC, loopback::filter_sync),
    (LinkType::INFINIBAND, bus::infiniband_with_routes),
    (LinkType::USBPCAP, usb::windows),
    (LinkType::WIRESHARK_UPPER_PDU, wrapped::exported),
    (LinkType::NETLINK, netlink::monitor),
    (LinkType::BLUETOOTH_LINUX_MONITOR, bluetooth::monitor),
    (LinkType::PKTAP, wrapped::all_interfaces),
    (LinkType::EPON, tags::epon),
    (LinkType::USB_DARWIN, usb::darwin),
    (LinkType::DOCSIS31_XRA31, tags::docsis_analyzed),
    (LinkType::ETHERNET_MPACKET, tags::mpacket),
    (LinkType::LINUX_SLL2, cooked::version_2),
    (LinkType::EBHSCR, wrapped::vehicle),
    (LinkType::VPP_DISPATCH, wrapped::packet_graph),
    (LinkType::DSA_TAG_BRCM, tags::broadcom),
    (LinkType::DSA_TAG_BRCM_PREPEND, tags::broadcom_first),
    (LinkType::IEEE802_15_4_TAP, lowpan::radio_with_metadata),
    (LinkType::DSA_TAG_DSA, tags::marvell),
    (LinkType::DSA_TAG_EDSA, tags::marvell_typed),
    (LinkType::USB_2_0, usb::cable),
    (LinkType::ATSC_ALP, broadcast::atsc),
    (LinkType::NETANALYZER_NG, tags::netanalyzer_newer),
    (LinkType::USB_2_0_FULL_SPEED, usb::cable),
    (LinkType::USB_2_0_HIGH_SPEED, usb::cable),
    (LinkType::SURVEYOR_WIFI, wifi::surveyor),
    (LinkType::SNOOP_IPOIB, bus::infiniband_encapsulation),
];

/// The first header of a frame.
///
/// # Errors
/// [`Portless::UnknownLink`] for a link type that is not known.
pub(super) fn first(link: LinkType, frame: Payload<'_>) -> Step<'_> {
    let (_, header) = LINKS.iter().find(|(known, _)| *known == link).ok_or(Portless::UnknownLink)?;
    Ok(Next::Header(*header, frame))
}

/// A frame of a link type within another header. The capture's own link type is known, so one that is not known here is
/// only not IP.
fn within(link: LinkType, payload: Payload<'_>) -> Step<'_> {
    first(link, payload).map_err(|_| Portless::NotIp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, follow};

    #[test]
    fn link_types_are_listed_once_and_in_order() {
        assert!(LINKS.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn frequent_link_types_are_read_as_the_table_says() {
        let frame = |before: &[u8], after: &[u8]| [before, after, &IP].concat();
        let frames = [
            frame(&[2; 12], &[8, 0]),
            frame(&[0xff; 12], &[0x81, 0, 0, 5, 0x86, 0xdd]),
            frame(&[2; 12], &[8, 6]),
            frame(&[], &[]),
            frame(&[0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &[8, 0]),
            frame(&[0, 4, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &[0x81, 0, 0, 5, 8, 0]),
            frame(&[8, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1], &[6, 2, 2, 2, 2, 2, 2, 0, 0]),
            frame(&[0, 4, 0, 0, 0, 0, 0, 9, 3, 0x21, 1], &[6, 2, 2, 2, 2, 2, 2, 0, 0]),
        ];
        let mut read = 0;
        for (link, header) in LINKS {
            for frame in &frames {
                let Some(direct) = straight(*link, frame) else { continue };
                let listed = follow(*header, frame).expect("IP");
                assert_eq!((direct.bytes, direct.link_broadcast), (listed.bytes, listed.link_broadcast), "{link}");
                read += 1;
            }
        }
        assert!(read >= 6, "{read} of the frames are of frequent link types");
        assert_eq!(first(LinkType(147), Payload::new(&IP)).map(|_| ()), Err(Portless::UnknownLink));
    }
}
