//! The order of layers: a file of `src/` uses only what stands to the left of its own layer, and dependencies come in by
//! one door each.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, each of which imports only from its left.
const LAYERS: [&str; 17] = [
    "memory",
    "units",
    "source",
    "decode",
    "services",
    "snapshot",
    "flow",
    "stats",
    "report",
    "engine",
    "output",
    "cli",
    "privileges",
    "run",
    "commands",
    "main",
    "manual",
];

/// Layers that may see less than everything to their left.
const NARROW: [(&str, &[&str]); 5] = [
    ("decode", &["units", "source"]),
    ("report", &["units", "services", "snapshot", "stats"]),
    ("output", &["units", "snapshot"]),
    ("privileges", &[]),
    ("manual", &[]),
];

/// Dependencies, and the modules that know each.
const DOORS: [(&str, &[&str]); 21] = [
    ("pcap", &["source/filter", "source/live"]),
    ("libc", &["source/live/socket", "privileges"]),
    ("etherparse", &["decode"]),
    ("hdrhistogram", &["stats"]),
    ("sha2", &["services", "output/page"]),
    ("clap", &["cli"]),
    ("landlock", &["privileges"]),
    ("seccompiler", &["privileges"]),
    ("nix", &["privileges"]),
    ("clap_mangen", &["manual"]),
    ("clap_complete", &["manual"]),
    ("ratatui", &["output/tui"]),
    ("axum", &["output/web"]),
    ("futures_util", &["output/web"]),
    ("hyper", &["output/web"]),
    ("hyper_util", &["output/web"]),
    ("subtle", &["output/web"]),
    ("tokio", &["output/web"]),
    ("plotters", &["output/page/charts"]),
    ("prometheus", &["output/metrics"]),
    ("prometheus_client", &["output/metrics"]),
];

/// Crates that read containers: that is our own packet path, and they are no dependency but for tests.
const CONTAINER_CRATES: [&str; 4] = ["pcap_parser", "pcap_file", "pcarp", "pcapng"];

/// The modules with unsafe code: a hint to the processor that nothing in std gives, and requests to the kernel that no safe
/// crate makes. Another one needs a reason as good.
const UNSAFE: [&str; 2] = ["memory", "source/live/socket"];

/// What is wrong with a file of `src/`, given its path from there.
fn faults(path: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let layer = layer_of(path);
    let mut faults = Vec::new();
    if path != "lib.rs" {
        let Some(rank) = LAYERS.iter().position(|known| *known == layer) else {
            return vec![format!("{path}: {layer} is no layer")];
        };
        for import in imports(path, &code) {
            let narrow = NARROW.iter().find(|(narrow, _)| *narrow == layer).map(|(_, seen)| *seen);
            let may_see = narrow.unwrap_or(&LAYERS[..rank]);
            if import != layer && !may_see.contains(&import.as_str()) {
                faults.push(format!("{path}: {layer} imports {import}"));
            }
        }
    }
    for (dependency, doors) in DOORS {
        if !doors.iter().any(|door| is_in_module(path, door)) && names_crate(&code, dependency) {
            faults.push(format!("{path}: {dependency} is known only to {}", doors.join(" and ")));
        }
    }
    faults.extend(
        CONTAINER_CRATES.iter().filter(|name| names_crate(&code, name)).map(|name| format!("{path}: uses {name}")),
    );
    if words(&code).any(|(_, word)| word == "unsafe")
        && !(UNSAFE.iter().any(|module| is_in_module(path, module)) && text.contains("// SAFETY: "))
    {
        faults.push(format!("{path}: unsafe"));
    }
    faults
}

/// The layer of a file: its folder, or its own name.
fn layer_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The file is the module's own or one of its folder.
fn is_in_module(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The text without what stands behind `//`, unless that is within a string.
fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let starts = line.match_indices("//").map(|(at, _)| at);
        let comment = starts.into_iter().find(|at| line[..*at].matches('"').count().is_multiple_of(2));
        line[..comment.unwrap_or(line.len())].to_owned() + "\n"
    };
    text.lines().map(code).collect()
}

/// The modules of the crate's root that a file names: `crate::X`, `crate::{X, Y}`, and as many `super` as lead there.
fn imports(path: &str, code: &str) -> Vec<String> {
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let roots = ["crate::".to_owned(), "super::".repeat(depth)];
    let mut found = Vec::new();
    for (at_root, root) in roots.iter().enumerate() {
        for (at, _) in code.match_indices(root.as_str()) {
            let is_whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
            let names = group(&code[at + root.len()..]);
            // modules within a file make `super` lead to less far up: only what is called as a layer counts there
            let counts = |name: &String| at_root == 0 || LAYERS.contains(&name.as_str());
            found.extend(names.into_iter().filter(|name| is_whole_word && counts(name)));
        }
    }
    found
}

/// The first words of the paths at the beginning of `code`: one path, or a group in braces.
fn group(code: &str) -> Vec<String> {
    let first_word = |path: &str| {
        path.trim_start().chars().take_while(|c| c.is_alphanumeric() || "_*".contains(*c)).collect::<String>()
    };
    let Some(inside) = code.trim_start().strip_prefix('{') else { return vec![first_word(code)] };
    let (mut names, mut level, mut start) = (Vec::new(), 0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level > 0 => level -= 1,
            ',' | '}' if level == 0 => {
                names.push(first_word(&inside[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Words, each with its place.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c| !is_part(c)).filter(|word| !word.is_empty()).map(|word| {
        let at = word.as_ptr() as usize - code.as_ptr() as usize;
        (at, word)
    })
}

/// A path begins with the crate's name: `name::…`, `::name`, `use name`, `extern crate name`.
fn names_crate(code: &str, name: &str) -> bool {
    words(code).filter(|(_, word)| *word == name).any(|(at, _)| {
        let (before, after) = (code[..at].trim_end(), code[at + name.len()..].trim_start());
        let is_in_path = before.ends_with("::");
        let is_absolute = before.strip_suffix("::").is_some_and(|before| {
            before.ends_with(|c: char| !(c.is_alphanumeric() || c == '_' || c == '>')) || before.ends_with("use")
        });
        let is_imported = before.ends_with("use") || before.ends_with("extern crate");
        is_absolute || !is_in_path && (after.starts_with("::") || is_imported)
    })
}

/// Every file of `src/`: its path from there, and its text.
fn sources() -> Vec<(String, String)> {
    fn add(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<PathBuf> = entries.collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                add(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below src/").to_str().expect("ASCII").to_owned();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    add(&root, &root, &mut found);
    found
}

#[test]
fn layers_import_from_their_left_and_dependencies_have_one_door() {
    let sources = sources();
    let wrong: Vec<_> = sources.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // what the rules speak of is there: a renamed layer or a dependency that moved would pass everything
    for layer in LAYERS {
        assert!(sources.iter().any(|(path, _)| layer_of(path) == layer), "{layer} is not there any more");
    }
    for (dependency, doors) in DOORS {
        for door in doors {
            let behind_it = sources
                .iter()
                .any(|(path, text)| is_in_module(path, door) && names_crate(&without_comments(text), dependency));
            assert!(behind_it, "{door} does not know {dependency} any more");
        }
    }
}

#[test]
fn no_container_crate_is_a_dependency() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]")).expect("dependencies");
    let names = section.lines().filter_map(|line| line.split([' ', '.', '=']).next());
    let names: Vec<_> = names.map(|name| name.replace('-', "_")).collect();
    assert!(names.iter().any(|name| name == "etherparse"), "{names:?}");
    for name in CONTAINER_CRATES {
        assert!(!names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let cases = [
        // name, path, text, faults
        ("to the left", "engine.rs", "use crate::decode::{Observation, Segment};", 0),
        ("to the right", "decode/mod.rs", "use crate::engine::Engine;", 1),
        ("within a function", "decode/mod.rs", "fn f() { crate::engine::Engine::new() }", 1),
        ("a group", "flow/key.rs", "use crate::{units::{A, B}, engine::C, run};", 2),
        ("a group over lines", "flow/key.rs", "use crate::{\n    units::A,\n    engine::C,\n};", 1),
        ("everything", "flow/key.rs", "use crate::*;", 1),
        ("its own layer", "flow/key.rs", "use crate::flow::Flow;", 0),
        ("super to the root", "flow/key.rs", "use super::super::engine::Engine;", 1),
        ("super to the root, from a layer's mod.rs", "flow/mod.rs", "use super::engine::Engine;", 1),
        ("super to the layer", "run/intake.rs", "use super::engine::Engine;", 0),
        ("a comment", "decode/mod.rs", "// crate::engine::Engine", 0),
        ("a doc link", "snapshot.rs", "/// See [`Engine`](crate::engine::Engine).", 0),
        ("behind a string with slashes", "decode/mod.rs", "let a = \"//\"; crate::engine::run();", 1),
        ("a public name", "units.rs", "pub(crate) struct A;", 0),
        ("a narrow layer", "output/csv.rs", "use crate::engine::Event;", 1),
        ("a narrow layer, to its left", "output/csv.rs", "use crate::flow::Flow;", 1),
        ("what is no layer", "helpers.rs", "", 1),
        ("a name that is no layer", "engine.rs", "use crate::helpers::help;", 1),
        ("a dependency", "flow/key.rs", "use etherparse::TcpHeaderSlice;", 1),
        ("a dependency in its folder", "decode/link.rs", "use etherparse::TcpHeaderSlice;", 0),
        ("a dependency beside its folder", "stats.rs", "use hdrhistogram::Histogram;", 0),
        ("a dependency renamed", "flow/key.rs", "use etherparse as headers;", 1),
        ("a dependency from its root", "flow/key.rs", "let a = ::etherparse::parse();", 1),
        ("a dependency in a path", "run.rs", "let a: clap::Error;", 1),
        ("a module of that name", "source/reader.rs", "use super::pcap::{Magic, Pcap}; mod pcap;", 0),
        ("the crate of that name", "source/reader.rs", "fn f(_: pcap::Error) {}", 1),
        ("a container crate", "source/reader.rs", "use pcap_parser::create_reader;", 1),
        ("unsafe", "source/input.rs", "let a = unsafe { b() };", 1),
        ("unsafe where it may be", "memory.rs", "// SAFETY: a hint\nunsafe { a() };", 0),
        ("unsafe without a word why", "memory.rs", "unsafe { a() };", 1),
        ("a lint about unsafe", "source/input.rs", "#![deny(unsafe_code)]", 0),
    ];
    for (name, path, text, count) in cases {
        let faults = faults(path, text);
        assert_eq!(faults.len(), count, "{name}: {faults:?}");
    }
}
