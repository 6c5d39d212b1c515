//! The page: one HTML document that shows a run in a browser, live from `--listen` or as the report of `-o html`.
//!
//! Script and style are inside of it, and allowed by their hashes alone (Content Security Policy Level 3, section 6.7.2);
//! nothing else is executed, and nothing is loaded from anywhere but the server that the page came from. A report has its
//! data inside, and loads nothing at all.

mod charts;
mod history;
mod report;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) use charts::{ChartQuery, chart};
pub(super) use history::History;
pub(super) use report::Report;

/// The document, with comments where the rest goes.
const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("format.js"), include_str!("charts.js"), include_str!("page.js"));

/// The document in pieces, between which its data go.
struct Pieces {
    before_policy: &'static str,
    before_style: &'static str,
    before_data: &'static str,
    before_script: &'static str,
    end: &'static str,
}

/// The document and the policy that it is to be served with.
pub(super) struct Document {
    /// HTML.
    pub(super) html: String,
    /// The value of the header `Content-Security-Policy`.
    pub(super) policy: String,
}

/// The page of a run that goes on: it takes `charts/…` (see [`chart`]), `api/v1/snapshot` and `api/v1/stream` from where it
/// came from itself.
pub(super) fn live() -> &'static Document {
    static LIVE: LazyLock<Document> = LazyLock::new(|| {
        let Pieces { before_policy, before_style, before_data, before_script, end } = pieces();
        let html = [before_policy, before_style, STYLE, before_data, "null", before_script, SCRIPT, end].concat();
        Document { html, policy: format!("{}; connect-src 'self'; frame-ancestors 'none'", policy()) }
    });
    &LIVE
}

/// Nothing is allowed but the script and the style of the document, and the icon in it.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn pieces() -> Pieces {
    let cut = |text: &'static str, mark: &str| text.split_once(mark).unwrap_or((text, ""));
    let (before_policy, rest) = cut(FRAME, "<!-- policy -->");
    let (before_style, rest) = cut(rest, "<!-- style -->");
    let (before_data, rest) = cut(rest, "<!-- data -->");
    let (before_script, end) = cut(rest, "<!-- script -->");
    Pieces { before_policy, before_style, before_data, before_script, end }
}
