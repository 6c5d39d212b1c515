//! Where connections are taken, as `--listen` names it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::str::FromStr;

/// An address of this host, or all of them, and a port; port 0 is one that the system chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddr {
    /// `None` is every address of this host.
    ip: Option<IpAddr>,
    port: u16,
}

/// What is no [`ListenAddr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address and a port, such as 127.0.0.1:9465 or [::1]:9465; ':9465' is every address of this host")]
pub struct NoListenAddr;

impl FromStr for ListenAddr {
    type Err = NoListenAddr;

    fn from_str(text: &str) -> Result<Self, NoListenAddr> {
        let port = |port: &str| {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            port.parse().ok().filter(|_| is_number).ok_or(NoListenAddr)
        };
        match text.rsplit_once(':') {
            Some(("", number)) => Ok(Self { ip: None, port: port(number)? }),
            // no other name is looked up: what it leads to may change
            Some(("localhost", number)) => Ok(Self { ip: Some(Ipv4Addr::LOCALHOST.into()), port: port(number)? }),
            _ => {
                let addr: SocketAddr = text.parse().map_err(|_| NoListenAddr)?;
                Ok(Self { ip: Some(addr.ip()), port: addr.port() })
            }
        }
    }
}

impl ListenAddr {
    /// Only programs of this host can connect.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.ip.is_some_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Takes connections from now on; nobody answers them yet.
    ///
    /// # Errors
    /// Somebody else has the port, the address is none of this host, or the port is not for everybody.
    pub(super) fn bind(self) -> io::Result<TcpListener> {
        match self.ip {
            Some(ip) => TcpListener::bind((ip, self.port)),
            // takes connections of both versions; a host may be without IPv6
            None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).or_else(|error| match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)),
            }),
        }
    }
}

impl std::fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip {
            Some(ip) => SocketAddr::new(ip, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        let cases = [
            // text, as it is printed, only for this host
            ("127.0.0.1:9465", Some(("127.0.0.1:9465", true))),
            ("127.9.9.9:0", Some(("127.9.9.9:0", true))),
            ("[::1]:9465", Some(("[::1]:9465", true))),
            ("[::ffff:127.0.0.1]:9465", Some(("[::ffff:127.0.0.1]:9465", true))),
            ("localhost:80", Some(("127.0.0.1:80", true))),
            (":9465", Some((":9465", false))),
            ("0.0.0.0:9465", Some(("0.0.0.0:9465", false))),
            ("[::]:9465", Some(("[::]:9465", false))),
            ("192.0.2.1:1", Some(("192.0.2.1:1", false))),
            ("9465", None),
            ("127.0.0.1", None),
            ("::1:9465", None),
            ("example.org:80", None),
            (":", None),
            (":+1", None),
            (":65536", None),
            ("", None),
        ];
        for (text, want) in cases {
            let addr = text.parse::<ListenAddr>().ok();
            let got = addr.map(|addr| (addr.to_string(), addr.is_loopback()));
            assert_eq!(got, want.map(|(shown, is_loopback)| (shown.to_owned(), is_loopback)), "{text}");
        }
    }
}
