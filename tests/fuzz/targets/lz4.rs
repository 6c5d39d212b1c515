//! Inputs that begin as lz4 files do.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use shared::captures::{Format, read, seeds};

fuzz_target!(init: seeds("lz4"), |input: &[u8]| -> Corpus { read(input, Format::Lz4) });
