//! Port → service name: flat tables of 65,536 entries, one a transport, and the ladder of rules that picks the port.

pub mod evidence;

pub use evidence::Evidence;

use crate::decode::Segment;
use crate::units::{ServiceId, Transport};

/// Which end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender.
    Src,
    /// The receiver.
    Dst,
}

/// What a flow is called, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name; `None` is unlabelled traffic.
    pub service: Option<ServiceId>,
    /// Which end of the segment serves; its port is the one that the label stands for.
    pub server: End,
    /// The first rule that decided.
    pub evidence: Evidence,
}

/// Names of ports.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    /// The names that are built in.
    #[must_use]
    pub fn builtin() -> Self {
        Self {}
    }

    /// The service registered for a port.
    #[must_use]
    pub fn service(&self, _transport: Transport, _port: u16) -> Option<ServiceId> {
        None
    }

    /// The name of a service.
    #[must_use]
    pub fn name(&self, _service: ServiceId) -> &str {
        ""
    }

    /// The label of the flow that starts with `segment`.
    #[must_use]
    pub fn label(&self, segment: &Segment) -> Label {
        let server = if segment.src_port < segment.dst_port { End::Src } else { End::Dst };
        Label { service: None, server, evidence: Evidence::None }
    }
}
