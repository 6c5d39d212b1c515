//! Inputs that are reports.

use portlabel::engine::EngineConfig;

use super::{fixtures, report, write_seeds};

/// The reports of short captures of `fixtures/`, as they are written.
fn reports(histograms: bool) -> Vec<Vec<u8>> {
    let config = EngineConfig { histograms, ..EngineConfig::default() };
    let written = |snapshot| serde_json::to_vec(&snapshot).expect("JSON");
    fixtures().iter().map(|capture| written(report(capture, &config))).collect()
}

/// Writes the inputs to begin with for reports that are added up: each behind a byte that is even, and a histogram of the
/// value 7 behind one that is odd.
///
/// # Panics
/// They cannot be read or written.
pub fn seeds() {
    write_seeds(|| {
        let mut seeds: Vec<_> = reports(true).iter().map(|report| [b"0", &report[..]].concat()).collect();
        // cookie, length, offset, digits, range, ratio, counters
        let words = [0x1c84_9313_u32, 2, 0, 2, 0, 1, 0, 7].map(u32::to_be_bytes);
        seeds.push([b"1", words.as_flattened(), &1.0_f64.to_be_bytes(), &[0x0d, 0x02]].concat());
        seeds
    });
}

/// Writes the inputs to begin with for reports that are compared: two at a time.
///
/// # Panics
/// They cannot be read or written.
pub fn pairs() {
    write_seeds(|| {
        let reports = reports(false);
        let pair = |(how, pair): (u8, &[Vec<u8>])| [&[how], &pair[0][..], b"\n", &pair[1]].concat();
        (0..=u8::MAX).step_by(11).cycle().zip(reports.windows(2)).map(pair).collect()
    });
}
