//! `make install`: what it puts where, and that each can be read by what it is made for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Ran, has, portlabel, ran};

/// Runs a rule of the makefile on what the tests were built with.
fn make(rule: &str, root: &Path) {
    // the programs are there, so nothing is built (-o)
    let built = Path::new(env!("CARGO_BIN_EXE_portlabel")).parent().expect("a folder");
    let mut command = Command::new("make");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-o", "build", rule, "PREFIX=/usr"]);
    command.arg(format!("DESTDIR={}", root.display())).arg(format!("BUILT={}", built.display()));
    // the makefile is for any make, and what a make above this one has to say is not for it
    let ran = ran(command.env_remove("MAKEFLAGS").env_remove("MFLAGS"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
}

/// Every file below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What a shell offers behind `words`, a line each.
fn completions(shell: &str, script: &str, file: &Path) -> Ran {
    ran(Command::new(shell).args(["-c", script]).arg(shell).arg(file))
}

#[test]
fn everything_is_put_in_its_place_and_removed_again() {
    if !has("make", "nothing is installed") {
        return;
    }
    let root = TempDir::new().expect("a folder");
    make("install", root.path());
    let usr = root.path().join("usr");
    let names: Vec<_> =
        files(root.path()).iter().map(|path| path.strip_prefix(&usr).expect("PREFIX").display().to_string()).collect();
    let want = [
        "bin/portlabel",
        "lib/systemd/system/portlabel@.service",
        "share/bash-completion/completions/portlabel",
        "share/fish/vendor_completions.d/portlabel.fish",
        "share/man/man1/portlabel-diff.1",
        "share/man/man1/portlabel-explain.1",
        "share/man/man1/portlabel-lookup.1",
        "share/man/man1/portlabel-merge.1",
        "share/man/man1/portlabel-schema.1",
        "share/man/man1/portlabel.1",
        "share/portlabel/grafana/portlabel.json",
        "share/zsh/site-functions/_portlabel",
    ];
    assert_eq!(names, want);

    let version = ran(Command::new(usr.join("bin/portlabel")).arg("--version"));
    assert_eq!(version.stdout, ran(portlabel().arg("--version")).stdout);
    let unit = fs::read_to_string(usr.join(want[1])).expect("text");
    assert!(unit.contains("\nExecStart=/usr/bin/portlabel -i %i "), "{unit}");
    man_pages(&usr.join("share/man/man1"));
    shells(&usr.join("share"));

    make("uninstall", root.path());
    assert_eq!(files(root.path()), Vec::<PathBuf>::new());
}

fn man_pages(folder: &Path) {
    if !has("man", "no page is rendered") {
        return;
    }
    for page in files(folder) {
        let text =
            ran(Command::new("man").args(["--warnings", "-l"]).arg(&page).env("MANWIDTH", "100").env("LC_ALL", "C"));
        let name = page.file_stem().expect("a name").to_str().expect("ASCII");
        assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""), "{name}");
        for want in
            ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "EXIT CODES", concat!("portlabel ", env!("CARGO_PKG_VERSION"))]
        {
            assert!(text.stdout.contains(want), "{name}: no {want} in\n{}", text.stdout);
        }
        assert!(text.stdout.contains(&format!("{name} - ")), "{name}: {}", text.stdout);
    }
}

fn shells(share: &Path) {
    if has("bash", "its completions are not tried") {
        let script = r#". "$1"
            COMP_WORDS=(portlabel --no-) COMP_CWORD=1 COMP_LINE='portlabel --no-' COMP_POINT=15
            _portlabel portlabel --no- portlabel
            printf '%s\n' "${COMPREPLY[@]}"; complete -p portlabel"#;
        let ran = completions("bash", script, &share.join("bash-completion/completions/portlabel"));
        assert!(ran.stdout.starts_with("--no-promiscuous\n--no-listeners\n--no-progress\n"), "{ran:?}");
        assert!(ran.stdout.ends_with("-F _portlabel portlabel\n"), "{ran:?}");
    }
    if has("fish", "its completions are not tried") {
        let script = "source $argv[2]; complete --do-complete 'portlabel --no-'";
        let ran = completions("fish", script, &share.join("fish/vendor_completions.d/portlabel.fish"));
        assert!(ran.stdout.starts_with("--no-listeners\t") && ran.stdout.contains("\n--no-progress\t"), "{ran:?}");
    }
    if has("zsh", "its completions are not tried") {
        // it completes at a prompt only: here the file has to be one, and to say what it is for
        let script = r#"zsh -n "$1" && fpath=("${1:h}" $fpath) && autoload -Uz compinit && compinit -D -u && print $_comps[portlabel]"#;
        let ran = completions("zsh", script, &share.join("zsh/site-functions/_portlabel"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "_portlabel\n"), "{ran:?}");
    }
}

#[test]
fn the_unit_is_sound_and_closed() {
    if !has("systemd-analyze", "the unit is not looked at") {
        return;
    }
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/systemd/portlabel@.service");
    let text = fs::read_to_string(&unit).expect("text");
    // the program has to be there
    let folder = TempDir::new().expect("a folder");
    let instance = folder.path().join("portlabel@eth0.service");
    let text = text.replace("/usr/local/bin/portlabel", env!("CARGO_BIN_EXE_portlabel"));
    fs::write(&instance, text).expect("room");
    let verified = ran(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&instance));
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""));

    let mut security = Command::new("systemd-analyze");
    let ran = ran(security.args(["security", "--offline=true", "--no-pager", "--threshold=15"]).arg(&instance));
    assert_eq!(ran.code, Some(0), "an exposure above 1.5:\n{}{}", ran.stdout, ran.stderr);
}
