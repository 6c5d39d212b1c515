//! What the program is made of: the compiler that `Cargo.toml` states is new enough for every dependency.

use std::process::Command;

use serde_json::Value;

use crate::program::ran;

/// Major, minor, patch; what is left out is 0.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().expect("a number"));
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

#[test]
fn no_dependency_takes_a_newer_compiler_than_is_stated() {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["metadata", "--format-version", "1", "--locked"]);
    // of what was fetched to build these tests, nothing is missing
    command.args(["--offline", "--all-features", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let ran = ran(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let metadata: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    let used: Vec<_> =
        metadata["resolve"]["nodes"].as_array().expect("a list").iter().map(|node| &node["id"]).collect();
    assert!(used.len() > 100, "{}", used.len());
    for package in
        metadata["packages"].as_array().expect("a list").iter().filter(|package| used.contains(&&package["id"]))
    {
        let asks = package["rust_version"].as_str().map(version).unwrap_or_default();
        assert!(asks <= stated, "{} asks for {asks:?}, and {stated:?} is stated", package["id"]);
    }
    let readme = include_str!("../README.md");
    assert!(readme.contains(&format!("Rust ({} or newer)", env!("CARGO_PKG_RUST_VERSION"))));
}
