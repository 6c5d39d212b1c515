//! Who runs in turn.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::captures::Captures;
use crate::measure;
use crate::plan::{Aim, Base, Group, Program, REPORT, Row};
use crate::table::Measured;

/// What runs need.
pub struct Bench {
    captures: Captures,
    /// Builds of portlabel with what they are called, this one first.
    builds: Vec<(String, PathBuf)>,
    runs: usize,
    /// For programs that write to a folder.
    folder: TempDir,
}

/// One program that takes its turn.
struct Entrant {
    row: &'static Row,
    program: String,
    command: Result<Command, String>,
    /// Which of the builds it is.
    build: Option<usize>,
    aims: &'static [Aim],
}

impl Bench {
    /// Builds what reads the captures, `against` being other builds of portlabel.
    ///
    /// # Errors
    /// Those of [`Captures::prepare`], and of the folder for temporary files.
    pub fn prepare(yardstick: Option<&Path>, against: Vec<PathBuf>, runs: usize) -> io::Result<Self> {
        let called = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let builds = [("portlabel".to_owned(), env!("CARGO_BIN_EXE_portlabel").into())]
            .into_iter()
            .chain(against.into_iter().map(|path| (called(&path), path)))
            .collect();
        Ok(Self { captures: Captures::prepare(yardstick)?, builds, runs, folder: TempDir::new()? })
    }

    /// Measures the rows of a group that are chosen, by their name or the group's, and those that they are held against.
    pub fn group(&self, group: &'static Group, is_chosen: impl Fn(&str) -> bool) -> Vec<Measured> {
        let is_asked = |row: &&Row| is_chosen(row.name) || is_chosen(group.name);
        let against: Vec<_> =
            group.rows.iter().filter(is_asked).flat_map(|row| row.aims).filter_map(Aim::beside).collect();
        let chosen = group.rows.iter().filter(|row| is_asked(row) || against.contains(&row.name));
        let mut entrants: Vec<_> = chosen.flat_map(|row| self.entrants(row)).collect();
        if entrants.is_empty() {
            return Vec::new();
        }
        entrants.insert(0, self.base(group));
        eprintln!("measuring {} ...", group.name);
        let commands = entrants.iter_mut().map(|entrant| std::mem::replace(&mut entrant.command, Err(String::new())));
        let costs = measure::in_turn(commands, group.until, self.runs);
        let beside = |entrant: &Entrant, name: &str| {
            let same_build = |other: &(&Entrant, _)| other.0.row.name == name && other.0.build == entrant.build;
            entrants.iter().zip(&costs).find(same_build).and_then(|(_, cost)| cost.as_ref().ok().copied())
        };
        let measured = entrants.iter().zip(&costs).map(|(entrant, cost)| Measured {
            capture: format!("{}.{}", entrant.row.capture.name, entrant.row.form.extension()),
            program: entrant.program.clone(),
            packets: entrant.row.capture.traffic.packets,
            cost: cost.clone(),
            base: costs[0].clone(),
            aims: entrant.aims.iter().map(|aim| (*aim, aim.beside().and_then(|name| beside(entrant, name)))).collect(),
        });
        measured.collect()
    }

    /// What the times of a group are ratios to.
    fn base(&self, group: &'static Group) -> Entrant {
        let row = &group.rows[0];
        let (called, program) = match group.base {
            Base::EmptyLoop => ("empty loop", self.captures.empty_loop.as_path()),
            Base::Unpack(program) => (program, Path::new(program)),
        };
        let command = self.capture(row).map(|capture| {
            let mut command = Command::new(program);
            command.arg(capture);
            command
        });
        Entrant { row, program: called.to_owned(), command, build: None, aims: &[] }
    }

    /// The programs of a row: each build of ours, or another.
    fn entrants(&self, row: &'static Row) -> Vec<Entrant> {
        let entrant = |program, build, command| Entrant { row, program, command, build, aims: row.aims };
        match row.program {
            Program::Portlabel(options) => {
                let shown = options.strip_prefix(REPORT).unwrap_or(options);
                let build = |(number, (called, path)): (usize, &(String, PathBuf))| {
                    let command = self.capture(row).map(|capture| {
                        let mut command = Command::new(path);
                        command.arg(capture).args(options);
                        command
                    });
                    entrant([&[called.as_str()], shown].concat().join(" "), Some(number), command)
                };
                self.builds.iter().enumerate().map(build).collect()
            }
            Program::Peer(words) => {
                let command = self.capture(row).map(|capture| {
                    let mut command = Command::new(words[0]);
                    command.args(words[1..].iter().map(|word| match *word {
                        "CAPTURE" => capture.as_os_str(),
                        "FOLDER" => self.folder.path().as_os_str(),
                        word => word.as_ref(),
                    }));
                    command
                });
                let shown = words.join(" ").replace("CAPTURE", "…").replace("FOLDER", "…");
                vec![entrant(shown, None, command)]
            }
        }
    }

    /// The capture that a row reads, or why there is none.
    fn capture(&self, row: &Row) -> Result<PathBuf, String> {
        self.captures.warm(row.capture, row.form).map_err(|error| error.to_string())
    }
}
