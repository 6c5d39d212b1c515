//! What libpcap and safe crates do not offer of a packet socket: a few requests to the kernel, fenced in here.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use super::super::bpf::Instruction;

/// What the kernel says of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Its number, which an interface that is created anew does not share with the one before.
    pub(super) index: i32,
    /// It is administratively up (`IFF_UP`).
    pub(super) is_up: bool,
    /// The longest packet that it sends, link header left out, in bytes.
    pub(super) mtu: u32,
}

impl Link {
    /// Asks for the interface called `name`, in the network namespace of `socket`.
    ///
    /// # Errors
    /// There is none ([`io::ErrorKind::NotFound`]), or the kernel refuses.
    pub(super) fn of(socket: impl AsFd, name: &str) -> io::Result<Self> {
        let index = request(socket.as_fd(), name, libc::SIOCGIFINDEX)?;
        let flags = request(socket.as_fd(), name, libc::SIOCGIFFLAGS)?;
        let mtu = request(socket.as_fd(), name, libc::SIOCGIFMTU)?;
        // SAFETY: the kernel has filled the member that each request names (netdevice(7))
        let (index, flags, mtu) =
            unsafe { (index.ifr_ifru.ifru_ifindex, flags.ifr_ifru.ifru_flags, mtu.ifr_ifru.ifru_mtu) };
        Ok(Self { index, is_up: c_int::from(flags) & libc::IFF_UP != 0, mtu: u32::try_from(mtu).unwrap_or(0) })
    }
}

/// What the interface with this number is called now.
///
/// # Errors
/// There is none ([`io::ErrorKind::NotFound`]), or the kernel refuses.
pub(super) fn name_of(socket: impl AsFd, index: i32) -> io::Result<String> {
    // SAFETY: `ifreq` is made of numbers and bytes, for which all zeros are valid
    let mut about: libc::ifreq = unsafe { std::mem::zeroed() };
    about.ifr_ifru.ifru_ifindex = index;
    ask(socket.as_fd(), &mut about, libc::SIOCGIFNAME)?;
    let name: Vec<u8> = about.ifr_name.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// One request about an interface by its name (netdevice(7)).
fn request(socket: BorrowedFd<'_>, name: &str, request: libc::Ioctl) -> io::Result<libc::ifreq> {
    // SAFETY: `ifreq` is made of numbers and bytes, for which all zeros are valid
    let mut about: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = name.as_bytes();
    if name.len() >= about.ifr_name.len() || name.contains(&0) {
        return Err(io::ErrorKind::NotFound.into());
    }
    for (to, from) in about.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    ask(socket, &mut about, request)?;
    Ok(about)
}

fn ask(socket: BorrowedFd<'_>, about: &mut libc::ifreq, request: libc::Ioctl) -> io::Result<()> {
    // SAFETY: the descriptor is open, and `about` is what these requests read and write
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, std::ptr::from_mut(about)) };
    match (result, io::Error::last_os_error()) {
        (0, _) => Ok(()),
        (_, error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {
            Err(io::ErrorKind::NotFound.into())
        }
        (_, error) => Err(error),
    }
}

/// From here on, the socket takes no more packets; those that it has stay. So the end of a capture is an instant, and
/// what was captured and what was dropped add up to what the kernel says it has received.
///
/// # Errors
/// The kernel refuses.
pub(super) fn refuse_packets(socket: impl AsFd) -> io::Result<()> {
    accept_packets(socket, &[Instruction { code: RETURN_CONSTANT, jump_true: 0, jump_false: 0, k: 0 }])
}

/// From here on, the socket takes the packets that a program accepts; without a program, all.
///
/// # Errors
/// The kernel refuses the program: it is too long, most likely.
pub(super) fn accept_packets(socket: impl AsFd, program: &[Instruction]) -> io::Result<()> {
    let mut instructions: Vec<_> = program
        .iter()
        .map(|&Instruction { code, jump_true, jump_false, k }| libc::sock_filter {
            code,
            jt: jump_true,
            jf: jump_false,
            k,
        })
        .collect();
    if instructions.is_empty() {
        return match set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()), // there was none
            detached => detached,
        };
    }
    let len = u16::try_from(instructions.len()).map_err(|_| io::Error::from(io::ErrorKind::ArgumentListTooLong))?;
    let program = libc::sock_fprog { len, filter: instructions.as_mut_ptr() };
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// `BPF_RET | BPF_K` (bpf(4) of the BSDs): the packet is taken as far as the constant says.
const RETURN_CONSTANT: u16 = 0x06;

/// Shares the packets of an interface between the sockets that join `group`, by a hash of each packet's flow that is the
/// same for both directions (packet(7), `PACKET_FANOUT_HASH`). Fragments go by their addresses alone, all of a datagram to
/// one socket, so that nothing has to be put together by the kernel, which would change what is counted.
///
/// # Errors
/// The kernel refuses: the group is another program's, most likely.
pub(super) fn join_fanout(socket: impl AsFd, group: u16) -> io::Result<()> {
    let argument = u32::from(group) | libc::PACKET_FANOUT_HASH << 16;
    set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, &argument)
}

fn set_option<T>(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let value_len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the descriptor is open, and the kernel reads `value_len` bytes, which are `value`; what a `sock_fprog` points
    // to lives in the caller until then
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), value_len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_loopback_interface_is_up() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let link = Link::of(&socket, "lo").expect("every system has one");
        assert!(link.index > 0 && link.mtu >= 1280, "{link:?}");
        assert_eq!(name_of(&socket, link.index).expect("it has a name"), "lo");
        assert_eq!(name_of(&socket, i32::MAX).expect_err("nobody").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn names_of_no_interface_are_not_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for name in ["", "no-such-if", "a name longer than any", "l\0o", "lo\n"] {
            assert_eq!(Link::of(&socket, name).expect_err(name).kind(), io::ErrorKind::NotFound, "{name:?}");
        }
    }

    #[test]
    fn a_socket_that_refuses_gets_nothing_more() {
        let (to, from) =
            (UdpSocket::bind("127.0.0.1:0").expect("a socket"), UdpSocket::bind("127.0.0.1:0").expect("two"));
        let send = |what: &[u8]| from.send_to(what, to.local_addr().expect("bound")).expect("sends");
        send(b"before");
        refuse_packets(&to).expect("the kernel takes it");
        send(b"after");
        to.set_nonblocking(true).expect("can");
        let mut buffer = [0; 16];
        assert_eq!(to.recv(&mut buffer).ok(), Some(6), "what came before stays");
        assert_eq!(to.recv(&mut buffer).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        for _ in 0..2 {
            accept_packets(&to, &[]).expect("there may be none");
        }
        send(b"again");
        assert_eq!(to.recv(&mut buffer).ok(), Some(5));
    }
}
