//! Which services are on this wire, and how do they behave?
//!
//! Data flows one way, and the folders show it:
//!
//! ```text
//!  source ──Frame──▶ decode ──Observation──▶ flow (label decided once) ──▶ stats ──▶ snapshot ──▶ output
//!  files, live       headers to ports         services: port tables         per service   one schema   table json csv …
//!  └───── source threads, batches ──────────┘ └────────── engine thread ──────────────┘ └── main thread ──┘
//! ```
//!
//! The counting law: packets read = Σ services (the unlabelled rows included) + Σ portless reasons, and the same for
//! wire bytes. It holds by construction: [`decode`] is total, [`engine::Engine::ingest`] is the one place where a
//! packet is counted, and nothing returns early between the two.

pub mod cli;
pub mod commands;
pub mod decode;
pub mod engine;
pub mod flow;
pub mod output;
mod prefetch;
pub mod privileges;
pub mod report;
pub mod run;
pub mod services;
pub mod snapshot;
pub mod source;
pub mod stats;
pub mod units;
