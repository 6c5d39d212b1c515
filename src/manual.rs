//! Writes the man pages and the completions of shells into the folder that it is given, for `make install`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("portlabel-manual: name the folder that the pages are written to");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portlabel-manual: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut program = portlabel::cli::definition();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut program, "portlabel", folder)?;
    }
    program.build();
    let commands = program.get_subcommands().cloned();
    for command in std::iter::once(program.clone()).chain(commands) {
        let after_options = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // set apart below: as text of the page its lines would run together
        let command = command.version(env!("CARGO_PKG_VERSION")).after_help(None);
        let man = Man::new(command).source(concat!("portlabel ", env!("CARGO_PKG_VERSION"))).manual("User Commands");
        // without a date, which would be that of the build, what follows takes its place in the footer
        let man = man.date(" ");
        let mut page = Vec::new();
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if man.get_filename() == "portlabel.1" {
            man.render_subcommands_section(&mut page)?;
        }
        for section in after_options.split("\n\n") {
            let (title, text) = section.split_once(':').unwrap_or(("Notes", section));
            as_it_is(title, text.trim_matches('\n')).to_writer(&mut page)?;
        }
        fs::write(folder.join(man.get_filename()), page)?;
    }
    Ok(())
}

/// A section whose lines stay what they are.
fn as_it_is(title: &str, text: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [title.to_uppercase().as_str()]).control("nf", []);
    for line in text.lines() {
        section.text([roman(line.trim_start())]);
    }
    section.control("fi", []);
    section
}
