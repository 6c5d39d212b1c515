//! `portlabel lookup QUERY…`: what is known of ports and names.

mod json;
mod page;

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::{is_printed, names};
use crate::cli::Lookup;
use crate::run;
use crate::services::catalog::{Catalog, Entry, Query};

pub use json::LOOKUP_JSON_SCHEMA;

/// A question and what is known.
#[derive(Debug)]
struct Answer<'c> {
    query: &'c Query,
    entries: Vec<Entry<'c>>,
}

/// Answers the questions of the command line, on standard output.
#[must_use]
pub fn lookup(config: &Lookup) -> ExitCode {
    answer(config).unwrap_or_else(|wrong| {
        wrong.say();
        ExitCode::from(2)
    })
}

fn answer(config: &Lookup) -> Result<ExitCode, names::Wrong> {
    let texts = names::texts(&config.answer.naming)?;
    let parsed = names::parsed(&texts, &config.answer.naming)?;
    let registry = names::build(&parsed, &config.answer.naming)?;
    let files: Vec<_> = parsed.iter().map(names::Parsed::file).collect();
    let catalog = Catalog::new(&registry, &files);
    let answers: Vec<_> = config.queries.iter().map(|query| Answer { query, entries: catalog.find(query) }).collect();

    let unmatched: Vec<_> = answers.iter().filter(|answer| answer.entries.is_empty()).collect();
    let nothing = unmatched.len() == answers.len();
    let written = if config.answer.json {
        json::write(io::stdout().lock(), &answers)
    } else if nothing {
        Ok(())
    } else {
        io::stdout().lock().write_all(page::render(&answers, config.answer.color, config.answer.width).as_bytes())
    };
    let written = written.and_then(|()| io::stdout().flush());
    for answer in &unmatched {
        run::say(&format_args!("nothing is known of \"{}\"", answer.query.text));
    }
    if nothing {
        run::say(&"ask for a port (443, 22/tcp, 6000-6010), a name or a part of one (ssh), or a word (kerberos)");
    }
    Ok(if is_printed(written) && !nothing { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
