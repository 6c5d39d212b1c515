//! Inputs that begin as zstd files do.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use shared::captures::{Format, read, seeds};

fuzz_target!(init: seeds("zstd"), |input: &[u8]| -> Corpus { read(input, Format::Zstd) });
