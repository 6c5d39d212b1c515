//! The cases of `fixtures/`: each a folder with a capture, a README and the expected report.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// One folder of `fixtures/`.
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub capture: PathBuf,
}

impl Case {
    /// The case called `name`.
    pub fn named(name: &str) -> Self {
        let folder = fixtures().join(name);
        let captures = ["capture.pcap", "capture.pcapng"].map(|file| folder.join(file));
        let found: Vec<_> = captures.into_iter().filter(|capture| capture.is_file()).collect();
        let [capture] = found.try_into().unwrap_or_else(|_| panic!("{}: not exactly one capture", folder.display()));
        Self { name: name.to_owned(), folder, capture }
    }

    /// Every case, by name.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir(fixtures()).expect("fixtures/ is there").map(|entry| entry.expect("an entry"));
        let mut names: Vec<_> = entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().expect("a name in ASCII"))
            .collect();
        names.sort();
        assert!(names.len() >= 26, "only {} fixtures are left", names.len());
        names.iter().map(|name| Self::named(name)).collect()
    }

    /// The capture's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.capture).unwrap_or_else(|error| panic!("{}: {error}", self.capture.display()))
    }

    /// The capture, as its folder calls it.
    pub fn file_name(&self) -> &str {
        self.capture.file_name().and_then(|name| name.to_str()).expect("a name in ASCII")
    }

    pub fn readme(&self) -> String {
        let path = self.folder.join("README.md");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Says that something was not tested, past the test harness, which swallows what passing tests print.
pub fn skipped(why: &str) {
    // not being able to say it is no reason to fail
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}

/// The corpus, or a word that it is not there.
pub fn corpus(without_it: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PORTLABEL_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        skipped(&format!("PORTLABEL_CORPUS is not set: {without_it}"));
    }
    folder
}

/// Every capture of the corpus.
pub fn corpus_captures(corpus: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string(corpus.join("oracle.tsv")).expect("the corpus has its oracle");
    table.lines().skip(1).map(|row| corpus.join("files").join(row.split('\t').next().unwrap_or_default())).collect()
}
