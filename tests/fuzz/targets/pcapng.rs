//! Inputs that begin as pcapng files do.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use shared::{Format, seeds};

fuzz_target!(init: seeds("pcapng"), |input: &[u8]| -> Corpus { shared::read(input, Format::PcapNg) });
