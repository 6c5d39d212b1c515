//! The interfaces of this host, for `-D` and for whoever names one that there is not.

use std::fmt;
use std::net::IpAddr;

use pcap::{ConnectionStatus, Device, IfFlags};

/// An interface of this host that can be captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInterface {
    /// Its name, as `-i` takes it.
    pub name: String,
    /// What libpcap says it is; most interfaces are described by their name alone.
    pub description: Option<String>,
    /// Its addresses, IPv4 and IPv6.
    pub addresses: Vec<IpAddr>,
    /// Its state in words: `up`, `running`, `loopback`, `wireless`, and so on.
    pub state: Vec<&'static str>,
}

/// The interfaces of the host cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the interfaces: {0}")]
pub struct ListError(String);

impl HostInterface {
    /// Every interface that a packet can pass, in the order of libpcap: those that are up and running first. Its other
    /// devices (USB, Bluetooth, netfilter logs) are left out unless somebody names them.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn list() -> Result<Vec<Self>, ListError> {
        let devices = Device::list().map_err(|error| ListError(super::message(error)))?;
        Ok(devices.into_iter().filter(is_of_the_network).map(Self::from).collect())
    }
}

fn is_of_the_network(device: &Device) -> bool {
    const OTHERS: [&str; 6] = ["bluetooth", "dbus-", "nflog", "nfqueue", "usbmon", "rdma"];
    !OTHERS.iter().any(|other| device.name.starts_with(other))
}

impl From<Device> for HostInterface {
    fn from(device: Device) -> Self {
        let flags = &device.flags;
        let connection = match flags.connection_status {
            ConnectionStatus::Connected => Some("connected"),
            ConnectionStatus::Disconnected => Some("disconnected"),
            ConnectionStatus::Unknown | ConnectionStatus::NotApplicable => None,
        };
        let named = [
            (IfFlags::UP, "up"),
            (IfFlags::RUNNING, "running"),
            (IfFlags::LOOPBACK, "loopback"),
            (IfFlags::WIRELESS, "wireless"),
        ];
        let mut state: Vec<_> = named.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
        if !flags.is_up() {
            state.insert(0, "down");
        }
        state.extend(connection);
        let mut addresses: Vec<_> = device.addresses.iter().map(|address| address.addr).collect();
        addresses.dedup();
        Self { name: device.name, description: device.desc, addresses, state }
    }
}

impl fmt::Display for HostInterface {
    /// Name, addresses, state and description, separated by two blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        for part in [addresses.join(" "), format!("[{}]", self.state.join(", "))] {
            if !part.is_empty() {
                write!(f, "  {part}")?;
            }
        }
        self.description.iter().try_for_each(|description| write!(f, "  {description}"))
    }
}
