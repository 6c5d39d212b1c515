//! The answers as JSON, `portlabel.lookup/1`: one object a port and transport, flat, every key always there.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::Answer;
use crate::output::write_indented_json;
use crate::services::Layer;
use crate::services::catalog::{Entry, Facts, InUse, Listed, UserLine};
use crate::units::Transport;

/// The JSON Schema of what `lookup --json` prints, as this version writes it.
pub const LOOKUP_JSON_SCHEMA: &str = include_str!("../../../data/schema/lookup.schema.json");

#[derive(Serialize)]
struct Document<'c> {
    schema: &'static str,
    matches: Vec<Match<'c>>,
    unmatched: Vec<&'c str>,
}

#[derive(Serialize)]
struct Match<'c> {
    query: &'c str,
    port: u16,
    transport: Transport,
    service: Option<&'c str>,
    layer: Option<Layer>,
    iana_name: Option<&'c str>,
    aliases: &'c [&'c str],
    description: Option<&'c str>,
    list: Vec<ListRow<'c>>,
    overlay: Option<OverlayRow<'c>>,
    user: Option<User<'c>>,
    remarks: Vec<String>,
}

#[derive(Serialize)]
struct ListRow<'c> {
    name: &'c str,
    words: &'c str,
    agrees: &'c str,
    note: Option<&'c str>,
}

#[derive(Serialize)]
struct OverlayRow<'c> {
    name: &'c str,
    action: &'c str,
    why: Option<&'c str>,
    source: &'c str,
}

#[derive(Serialize)]
struct User<'c> {
    file: &'c str,
    line: usize,
    comment: Option<&'c str>,
}

impl<'c> Match<'c> {
    fn new(query: &'c str, entry: &'c Entry<'c>) -> Self {
        let Entry { port, transport, ref facts } = *entry;
        let Facts { service, layer, iana_name, ref aliases, description, .. } = *facts;
        let list = |&Listed { name, words, agrees, note }: &Listed<'c>| ListRow { name, words, agrees, note };
        let overlay = |InUse { name, action, why, source, .. }: InUse<'c>| {
            let why = Some(why).filter(|why| !why.is_empty());
            OverlayRow { name, action, why, source }
        };
        let user = |UserLine { file, line, comment }: UserLine<'c>| User { file, line, comment };
        Self {
            query,
            port,
            transport,
            service,
            layer,
            iana_name,
            aliases,
            description,
            list: facts.list.iter().map(list).collect(),
            overlay: facts.overlay.or(facts.range).map(overlay),
            user: facts.user.map(user),
            remarks: facts.remarks(),
        }
    }
}

/// Writes the answers as one document, indented.
pub(super) fn write(out: impl Write, answers: &[Answer<'_>]) -> io::Result<()> {
    let matches =
        answers.iter().flat_map(|answer| answer.entries.iter().map(|entry| Match::new(&answer.query.text, entry)));
    let unmatched = answers.iter().filter(|answer| answer.entries.is_empty());
    let document = Document {
        schema: "portlabel.lookup/1",
        matches: matches.collect(),
        unmatched: unmatched.map(|answer| answer.query.text.as_str()).collect(),
    };
    let mut out = BufWriter::new(out);
    write_indented_json(&mut out, &document)?;
    out.write_all(b"\n")?;
    out.flush()
}
