//! In what reports differ that were made in different ways.

use crate::snapshot::{Settings, SourceInfo};
use crate::units::cut;

/// In what two reports differ, so that their numbers do not mean the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Files and live captures.
    #[error("one is of files, the other of a live capture")]
    Kind,
    /// Filters: what matches both would count twice, and what matches neither not at all.
    #[error("they have different filters, {} and {}", shown(.0.as_deref()), shown(.1.as_deref()))]
    Filter(Option<String>, Option<String>),
    /// A key of `settings`.
    #[error("they were made with another {0} (see settings in both)")]
    Setting(&'static str),
}

fn shown(filter: Option<&str>) -> String {
    filter.map_or_else(|| "none".to_owned(), |filter| format!("'{}'", cut(filter)))
}

impl Difference {
    /// Everything that keeps two reports from being added up.
    #[must_use]
    pub fn all(sources: [&SourceInfo; 2], settings: [&Settings; 2]) -> Vec<Self> {
        let ([a, b], [x, y]) = (sources, settings);
        let kind = (a.kind != b.kind).then_some(Self::Kind);
        let filter = (a.filter != b.filter).then(|| Self::Filter(a.filter.clone(), b.filter.clone()));
        let settings = [
            ("tcp_idle_timeout_us", x.tcp_idle_timeout_us == y.tcp_idle_timeout_us),
            ("other_idle_timeout_us", x.other_idle_timeout_us == y.other_idle_timeout_us),
            ("outer", x.outer == y.outer),
            ("listeners", x.listeners == y.listeners),
            ("iana_names", x.iana_names == y.iana_names),
            ("user_names_sha256", x.user_names_sha256 == y.user_names_sha256),
        ];
        let settings = settings.into_iter().filter(|(_, same)| !same).map(|(key, _)| Self::Setting(key));
        kind.into_iter().chain(filter).chain(settings).collect()
    }
}
