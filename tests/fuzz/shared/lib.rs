//! What the targets have in common: inputs to begin with, and what is held of any input.
//!
//! Inputs to begin with are written into the folder that `PORTLABEL_SEEDS` names.

pub mod captures;
#[path = "../../laws.rs"]
pub mod laws;
pub mod reports;
pub mod requests;
pub mod services;
pub mod streams;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portlabel::decode::Decoder;
use portlabel::engine::{Engine, EngineConfig, Event, RunEnd};
use portlabel::services::Registry;
use portlabel::snapshot::{Snapshot, SourceInfo, SourceKind};
use portlabel::source::{Files, Next};
use portlabel::units::LinkType;

/// Frames of one capture that become an input, or inputs.
const FRAMES_MAX: usize = 16;

/// Writes inputs to begin with, where somebody wants them.
fn write_seeds(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = env::var_os("PORTLABEL_SEEDS").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).expect("room");
    for (number, seed) in seeds().iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), seed).expect("room");
    }
}

/// The captures of `fixtures/`.
fn fixtures() -> Vec<PathBuf> {
    let mut captures = Vec::new();
    add_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"), &mut captures);
    captures
}

/// These, and the captures of `PORTLABEL_CORPUS` where there is one.
fn all_captures() -> Vec<PathBuf> {
    let mut captures = fixtures();
    if let Some(corpus) = env::var_os("PORTLABEL_CORPUS") {
        add_files(&Path::new(&corpus).join("files"), &mut captures);
    }
    captures
}

/// The captures in a folder and its folders, in the order of their names.
fn add_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add_files(&path, found);
        } else if !path.extension().is_some_and(|extension| ["md", "json", "txt"].iter().any(|text| extension == *text))
        {
            found.push(path);
        }
    }
}

fn open(path: &Path) -> Files {
    Files::open(&[path.to_owned()], Arc::default())
}

/// The first frames of a capture, each with its link type.
fn frames(path: &Path, max: usize) -> Vec<(LinkType, Vec<u8>)> {
    let (mut files, mut frames) = (open(path), Vec::new());
    while frames.len() < max
        && let Ok(Next::Frame(frame)) = files.next_packet()
    {
        frames.push((frame.link, frame.data.to_vec()));
    }
    frames
}

/// The report of a capture's first frames.
fn report(capture: &Path, config: &EngineConfig) -> Arc<Snapshot> {
    let source = SourceInfo { kind: SourceKind::File, names: Vec::new(), host: None, filter: None };
    let mut engine = Engine::new(config, source.into(), Registry::builtin());
    let (mut files, mut decoder, keyer) = (open(capture), Decoder::default(), engine.keyer());
    for _ in 0..FRAMES_MAX {
        let Ok(Next::Frame(frame)) = files.next_packet() else { break };
        engine.ingest(&[keyer.packet(&decoder.decode(&frame))]);
    }
    engine.finish(RunEnd::Complete);
    let last = engine.drain_events().last().expect("a final snapshot");
    match last {
        Event::Snapshot(snapshot) => snapshot,
        Event::Flow(_) => panic!("nobody asked for flows"),
    }
}

/// A snapshot of some traffic, as it comes while a run goes on.
///
/// # Panics
/// The fixture is not there.
#[must_use]
pub fn sample() -> Arc<Snapshot> {
    let office = fixtures().into_iter().find(|path| path.to_string_lossy().contains("office")).expect("a fixture");
    let config = EngineConfig { interval: Some(Duration::from_secs(1)), shapes: true, ..EngineConfig::default() };
    Arc::new(Snapshot { is_final: false, ..Snapshot::clone(&report(&office, &config)) })
}
