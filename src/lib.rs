//! Which services are on this wire, and how do they behave?
//!
//! Data flows one way, and the folders show it:
//!
//! ```text
//!  source ──Frame──▶ decode ──Packet──▶ flow ──Step──▶ services ──▶ stats ──▶ snapshot ──▶ output
//!  files, live       headers to ports   which one,     label of a   per        one schema   table json csv …
//!                                       its age        new flow     service
//!  └──────────── read ────────────────┘ └ follow ────┘ └───────── count ──────────────────┘ └ main thread ─┘
//! ```
//!
//! The counting law: packets read = Σ services (the unlabelled rows included) + Σ portless reasons, and the same for
//! wire bytes. It holds by construction: [`decode`] is total, [`engine::Ledger::count`] is the one place where a
//! packet is counted, and nothing returns early between the two.

pub mod cli;
pub mod commands;
pub mod decode;
pub mod engine;
pub mod flow;
mod memory;
pub mod output;

pub mod privileges;
pub mod report;
pub mod run;
pub mod services;
pub mod snapshot;
pub mod source;
pub mod stats;
pub mod units;
