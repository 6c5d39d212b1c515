//! Inputs that begin as pcap files do.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use shared::captures::{Format, read, seeds};

fuzz_target!(init: seeds("pcap"), |input: &[u8]| -> Corpus { read(input, Format::Pcap) });
