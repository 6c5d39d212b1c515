//! Reports that are to be added up: JSON, and what is packed in its histograms.
//!
//! The first byte of an input says which: even, a report follows it; odd, a histogram as it is before it is compressed.

#![no_main]

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use libfuzzer_sys::fuzz_target;
use portlabel::report::{Merge, Report};
use portlabel::snapshot::{Hdr, Summary};
use portlabel::stats::SummarySum;
use shared::reports::seeds;

/// What is a report can be added up, or it is said why not; a sum of one report is a report, and its own sum.
fn report(input: &[u8]) {
    let Ok(report) = Report::read("input", input) else { return };
    let Ok(sum) = Merge::new(report) else { return };
    let sum = sum.snapshot();
    let written = serde_json::to_vec(&sum).expect("JSON");
    let again = Report::read("sum", written.as_slice()).expect("a sum is a report");
    let again = Merge::new(again).expect("a sum can be added").snapshot();
    assert_eq!(serde_json::to_vec(&again).expect("JSON"), written);
}

/// Whatever counters a histogram has, it is read or refused.
fn histogram(plain: &[u8]) {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    let deflated = encoder.finish().expect("memory");
    let len = u32::try_from(deflated.len()).expect("a short input");
    let text = STANDARD.encode([&0x1c84_9314_u32.to_be_bytes()[..], &len.to_be_bytes(), &deflated].concat());
    let hdr = Hdr::Encoded(Arc::from(text));
    // one value: a histogram that has another number is refused when all of it is read
    let seven = Some(7);
    let summary =
        Summary { count: 1, sum: 7, min: 7, mean: 7.0, p50: seven, p90: seven, p99: seven, max: 7, hdr, shape: None };
    if let Ok(mut sum) = SummarySum::read(&summary) {
        let other = sum.clone();
        sum.add(&other).expect("small numbers");
        assert_eq!(SummarySum::read(&sum.summary()).expect("a sum can be added"), sum);
    }
}

fuzz_target!(init: seeds(), |input: &[u8]| {
    match input.split_first() {
        Some((kind, input)) if kind.is_multiple_of(2) => report(input),
        Some((_, input)) => histogram(input),
        None => {}
    }
});
