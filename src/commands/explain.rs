//! `portlabel explain TRANSPORT A:P B:P`: which name a flow would get, and what each rule says.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table as Grid, presets};
use serde::Serialize;

use super::{is_printed, names};
use crate::cli::Explain;
use crate::decode::{Handshake, Segment};
use crate::output::{printable, write_indented_json};
use crate::services::{End, Evidence, Explanation, Label, Layer, Registry};
use crate::units::{Endpoint, Transport};

/// The JSON Schema of what `explain --json` prints, as this version writes it.
pub const EXPLAIN_JSON_SCHEMA: &str = include_str!("../../data/schema/explain.schema.json");

/// Explains the flow of the command line, on standard output.
#[must_use]
pub fn explain(config: &Explain) -> ExitCode {
    let registry = match names::registry(&config.answer.naming) {
        Ok(registry) => registry,
        Err(wrong) => {
            wrong.say();
            return ExitCode::from(2);
        }
    };
    let document = Document::new(&registry, &config.segment);
    let out = io::stdout().lock();
    let written = if config.answer.json { document.write_json(out) } else { document.write_text(out, config) };
    if is_printed(written) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// What is to be said, `portlabel.explain/1`.
#[derive(Serialize)]
struct Document<'r> {
    schema: &'static str,
    transport: Transport,
    src: Port<'r>,
    dst: Port<'r>,
    opens: bool,
    /// What was seen before could decide otherwise.
    #[serde(skip)]
    may_learn: bool,
    #[serde(flatten)]
    decision: Decision<'r>,
    client: Endpoint,
    server: Endpoint,
    /// What the answer would get, were it the first packet that is seen; nothing answers from a group's address.
    reply: Option<Decision<'r>>,
    rules: Vec<RuleSays>,
}

/// One end, and what is known of its port.
#[derive(Serialize)]
struct Port<'r> {
    #[serde(flatten)]
    endpoint: Endpoint,
    service: Option<&'r str>,
    layer: Option<Layer>,
    iana_name: Option<&'r str>,
    strong: bool,
}

/// A label.
#[derive(PartialEq, Serialize)]
struct Decision<'r> {
    service: Option<&'r str>,
    port: u16,
    evidence: Evidence,
}

/// What one rule says.
#[derive(Serialize)]
struct RuleSays {
    rule: Evidence,
    server: Option<Endpoint>,
    decides: bool,
    why: &'static str,
}

impl<'r> Document<'r> {
    fn new(registry: &'r Registry, segment: &Segment) -> Self {
        let Explanation { label, steps } = registry.explain(segment);
        let from_group = segment.src_addr.is_group(segment.ip_version);
        let reply = (!segment.to_group && !from_group).then(|| {
            let reply = reply(segment);
            Decision::of(registry, &reply, registry.explain(&reply).label)
        });
        Self {
            schema: "portlabel.explain/1",
            transport: segment.transport,
            src: Port::of(registry, segment.transport, segment.src()),
            dst: Port::of(registry, segment.transport, segment.dst()),
            opens: segment.handshake == Handshake::Open,
            may_learn: segment.handshake == Handshake::None && label.evidence > Evidence::Learned,
            decision: Decision::of(registry, segment, label),
            client: end(segment, label.server.other()),
            server: end(segment, label.server),
            reply,
            rules: steps
                .into_iter()
                .map(|step| RuleSays {
                    rule: step.rule,
                    server: step.server.map(|server| end(segment, server)),
                    decides: step.decides,
                    why: step.why,
                })
                .collect(),
        }
    }

    fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        write_indented_json(&mut out, self)?;
        writeln!(out)?;
        out.flush()
    }

    fn write_text(&self, mut out: impl Write, config: &Explain) -> io::Result<()> {
        let paint = |style: Style, text: &str| {
            if config.answer.color {
                format!("{}{text}{}", style.render(), style.render_reset())
            } else {
                text.to_owned()
            }
        };
        let opens = if self.opens { ", which opens the connection" } else { "" };
        let title =
            format!("{} from {} to {}{opens}", self.transport, shown(self.src.endpoint), shown(self.dst.endpoint));
        writeln!(out, "{}", paint(BOLD, &title))?;
        for port in [&self.src, &self.dst] {
            writeln!(out, "  {:5} {}", port.endpoint.port, port.in_words())?;
        }
        writeln!(out)?;

        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING);
        match config.answer.width {
            Some(width) => grid
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(u16::try_from(width.max(WIDTH_MIN) + GAP).unwrap_or(u16::MAX)),
            None => grid.set_content_arrangement(ContentArrangement::Disabled),
        };
        grid.add_row(["", "RULE", "SERVER", "WHY"]);
        for rule in &self.rules {
            let server = rule.server.map_or_else(|| "–".to_owned(), shown);
            grid.add_row([if rule.decides { "→" } else { "" }, rule.rule.name(), &server, rule.why]);
        }
        for column in grid.column_iter_mut() {
            column.set_padding((0, u16::try_from(GAP).unwrap_or_default()));
        }
        for (at, line) in grid.lines().enumerate() {
            let style = match line.chars().next() {
                _ if at == 0 => BOLD,
                Some('→') => DECIDES,
                _ => Style::new(),
            };
            writeln!(out, "{}", paint(style, line.trim_end()))?;
        }
        writeln!(out)?;

        let served = if self.decision.service.is_some() { "served by" } else { "as if served by" };
        let Decision { evidence, .. } = self.decision;
        writeln!(
            out,
            "{}, {served} {} (rule: {})",
            paint(NAME, &self.decision.name()),
            shown(self.server),
            evidence.name()
        )?;
        match &self.reply {
            Some(reply) if *reply == self.decision => writeln!(out, "the reply gets the same label")?,
            Some(reply) => {
                let (name, rule) = (reply.name(), reply.evidence.name());
                writeln!(out, "the reply alone gets another: {name}, port {} (rule: {rule})", reply.port)?;
            }
            None => {}
        }
        if self.may_learn {
            writeln!(out, "in a capture 'learned' decides before that, once one end was seen to serve")?;
        }
        out.flush()
    }
}

const BOLD: Style = Style::new().bold();
const DECIDES: Style = AnsiColor::Green.on_default();
const NAME: Style = AnsiColor::Cyan.on_default();
/// Columns between two columns of the table.
const GAP: usize = 2;
/// Below this, a table cannot be read any better than one that is too wide.
const WIDTH_MIN: usize = 60;

impl<'r> Port<'r> {
    fn of(registry: &'r Registry, transport: Transport, endpoint: Endpoint) -> Self {
        let name = |service: Option<_>| service.map(|service| registry.name(service));
        Self {
            endpoint,
            service: name(registry.service(transport, endpoint.port)),
            layer: registry.layer(transport, endpoint.port),
            iana_name: name(registry.iana(transport, endpoint.port)),
            strong: registry.is_strong(transport, endpoint.port),
        }
    }

    /// `kibana (overlay; IANA: esmagent), in the strong set`.
    fn in_words(&self) -> String {
        let (Some(service), Some(layer)) = (self.service, self.layer) else { return "no name".to_owned() };
        let iana = self.iana_name.filter(|name| *name != service).map(|name| format!("; IANA: {name}"));
        let strong = if self.strong { ", in the strong set" } else { "" };
        format!("{} ({}{}){strong}", printable(service), layer.name(), iana.unwrap_or_default())
    }
}

impl<'r> Decision<'r> {
    fn of(registry: &'r Registry, segment: &Segment, label: Label) -> Self {
        Self {
            service: label.service.map(|service| registry.name(service)),
            port: end(segment, label.server).port,
            evidence: label.evidence,
        }
    }

    fn name(&self) -> String {
        self.service.map_or_else(|| "unlabelled".to_owned(), printable)
    }
}

fn end(segment: &Segment, end: End) -> Endpoint {
    match end {
        End::Src => segment.src(),
        End::Dst => segment.dst(),
    }
}

/// The answer to a segment.
const fn reply(segment: &Segment) -> Segment {
    Segment {
        src_addr: segment.dst_addr,
        dst_addr: segment.src_addr,
        src_port: segment.dst_port,
        dst_port: segment.src_port,
        handshake: match segment.handshake {
            Handshake::Open => Handshake::Accept,
            other => other,
        },
        ..*segment
    }
}

/// `10.0.0.5:443`, `[2001:db8::1]:443`.
fn shown(endpoint: Endpoint) -> String {
    std::net::SocketAddr::new(endpoint.addr, endpoint.port).to_string()
}
