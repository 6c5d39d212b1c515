//! All that is known of ports beyond their names: descriptions, other names, where a name is from and why.
//!
//! It reads the tables of `data/` themselves, and only when it is asked: labelling needs none of it. Of a table it takes
//! apart no more than the rows that a question is about. The names stay those of the [`Registry`].

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::parse::{self, Row};
use super::user::{self, PortsError};
use super::{Layer, Registry};
use crate::units::Transport;

const SERVICES: &str = include_str!("../../data/services.tsv");
const OVERLAY: &str = include_str!("../../data/overlay.tsv");
const SEED: &str = include_str!("../../data/seed.tsv");

/// What `data/services.tsv` notes of a name that IANA gave without saying for which transport.
const NO_TRANSPORT: &str = "no transport in registry";

/// Transports that have names of their own, in the order of outputs.
const NAMED: [Transport; 4] = [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Dccp];

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// As it was typed.
    pub text: String,
    what: What,
    transport: Option<Transport>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Ports(RangeInclusive<u16>),
    /// A name, a part of one, or words; in small letters.
    Words(String),
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is nothing in it.
    #[error("it is empty; ask for a port such as 443, a range such as 6000-6010, or a name such as ssh")]
    Empty,
    /// It has the form of a port, and is none.
    #[error("{0}")]
    Ports(PortsError),
    /// Behind the port stands something else than a transport.
    #[error("\"{0}\" is no transport; one of: {known}", known = transports())]
    Transport(String),
}

fn transports() -> String {
    Transport::ALL.map(Transport::name).join(", ")
}

impl FromStr for Query {
    type Err = QueryError;

    /// Digits ask for a port, `a-b` for a range, everything else for a name or for words. `/tcp` behind it asks for that
    /// transport only.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let asked = text.trim().to_lowercase();
        let is_numeric = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|c| c.is_ascii_digit() || c == b'-')
        };
        // words may hold slashes, ports may not
        let of_ports = asked.split_once('/').filter(|(ports, _)| is_numeric(ports.trim()));
        let (what, suffix) = match of_ports.or_else(|| asked.rsplit_once('/')) {
            Some((what, suffix)) => (what.trim(), Some(suffix.trim())),
            None => (asked.as_str(), None),
        };
        let transport = suffix.and_then(|word| Transport::ALL.into_iter().find(|known| known.name() == word));
        let what = match (what, suffix, transport) {
            (ports, Some(suffix), None) if is_numeric(ports) => return Err(QueryError::Transport(suffix.to_owned())),
            (ports, ..) if is_numeric(ports) => What::Ports(user::ports(ports).map_err(QueryError::Ports)?),
            ("", None | Some(""), _) | ("", _, Some(_)) => return Err(QueryError::Empty),
            // a slash within words, as in "tcp/ip"
            (_, Some(_), None) => What::Words(asked),
            (words, ..) => What::Words(words.to_owned()),
        };
        Ok(Self { text: text.to_owned(), what, transport })
    }
}

impl Query {
    /// The transports that it is about. Unless it is asked for, UDP-Lite would only repeat what UDP has.
    fn transports(&self) -> &[Transport] {
        match &self.transport {
            Some(transport) => std::slice::from_ref(transport),
            None => &NAMED,
        }
    }
}

/// How well an entry answers a question about names; the best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is the name.
    Name,
    /// It is another name of the port.
    Alias,
    /// It is a part of one.
    Part,
    /// Its words are in a description.
    Words,
}

/// A user's file.
#[derive(Clone, Copy, Debug)]
pub struct UserFile<'c> {
    /// What it is called.
    pub path: &'c str,
    /// What it says.
    pub entries: &'c [user::Entry<'c>],
}

/// What is known of a port on a transport. Text is as the tables have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'c> {
    /// Port number.
    pub port: u16,
    /// Its transport.
    pub transport: Transport,
    /// All the rest.
    pub facts: Facts<'c>,
}

/// What is known of a port, apart from its number: ports with the same facts can be shown together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'c> {
    /// The name that flows get.
    pub service: Option<&'c str>,
    /// Where that is from.
    pub layer: Option<Layer>,
    /// What IANA calls it.
    pub iana_name: Option<&'c str>,
    /// Every other name, IANA's among them.
    pub aliases: Vec<&'c str>,
    /// IANA's words for it.
    pub description: Option<&'c str>,
    /// IANA gives the name without a transport.
    pub any_transport: bool,
    /// The reviewed row about the name in use.
    pub overlay: Option<InUse<'c>>,
    /// The reviewed row about the range around it, which names nothing.
    pub range: Option<InUse<'c>>,
    /// What the list that the project started from says of it: two rows for some ports.
    pub list: Vec<Listed<'c>>,
    /// The line of a user's file that names it.
    pub user: Option<UserLine<'c>>,
}

/// A row of `data/overlay.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse<'c> {
    /// Its ports.
    pub ports: (u16, u16),
    /// The name in use, which flows do not always get; see [`InUse::action`].
    pub name: &'c str,
    /// `rename`, `add`, `keep`, `ambiguous` or `note`.
    pub action: &'c str,
    /// What is to say about it; may be nothing.
    pub why: &'c str,
    /// Where that was looked up.
    pub source: &'c str,
}

/// A row of `data/seed.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'c> {
    /// Its name for the port.
    pub name: &'c str,
    /// Its words for the port.
    pub words: &'c str,
    /// `yes`; `no` where IANA says something else, `seed-only` where IANA says nothing.
    pub agrees: &'c str,
    /// What is to say about it.
    pub note: Option<&'c str>,
}

/// A line of a user's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserLine<'c> {
    /// The file.
    pub file: &'c str,
    /// Its line, counted from 1.
    pub line: usize,
    /// What stands behind the `#`; nothing when that is not UTF-8.
    pub comment: Option<&'c str>,
}

impl<'c> Facts<'c> {
    fn none() -> Self {
        Self {
            service: None,
            layer: None,
            iana_name: None,
            aliases: Vec::new(),
            description: None,
            any_transport: false,
            overlay: None,
            range: None,
            list: Vec::new(),
            user: None,
        }
    }

    /// The row that says that several programs share the port, so that none of them may be named.
    #[must_use]
    pub fn shared(&self) -> Option<InUse<'c>> {
        self.overlay.filter(|row| row.action == "ambiguous")
    }

    /// What is to be kept in mind about the name, in sentences.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(row) = self.shared() {
            remarks.push(format!("several programs share this port: {}", row.why));
        }
        if self.any_transport {
            remarks.push("IANA gives this name without a transport; it is taken for tcp and udp".to_owned());
        }
        if let Some(InUse { ports: (first, last), name, why, .. }) = self.range {
            remarks.push(format!("{first}-{last} is the range of {name} ({why}), which never names a flow"));
        }
        remarks
    }

    /// A name from another table than the one that is shown; it may be there already.
    fn also(&mut self, name: &'c str) {
        if !name.is_empty() && self.service != Some(name) {
            self.aliases.push(name);
        }
    }

    /// How well it answers a question in words.
    fn rank(&self, words: &str) -> Option<Rank> {
        // what an ambiguous port may be is asked for by the program's name, which is shown nowhere but in its remark
        // and what a range is for, where nothing else is known
        let range = self.range.filter(|_| self.service.is_none());
        let hidden = [self.overlay, range].into_iter().flatten().map(|row| row.name);
        let others = || self.aliases.iter().copied().chain(hidden.clone());
        let contains = |name: &str| name.to_ascii_lowercase().contains(words);
        if self.service.is_some_and(|name| name.eq_ignore_ascii_case(words)) {
            Some(Rank::Name)
        } else if others().any(|name| name.eq_ignore_ascii_case(words)) {
            Some(Rank::Alias)
        } else if self.service.is_some_and(contains) || others().any(contains) {
            Some(Rank::Part)
        } else if self.texts().any(|text| holds_words(text, words)) {
            Some(Rank::Words)
        } else {
            None
        }
    }

    /// Every text about the port.
    fn texts(&self) -> impl Iterator<Item = &'c str> {
        let range = self.range.filter(|_| self.service.is_none());
        let rows = [self.overlay, range].into_iter().flatten().map(|row| row.why);
        let comment = self.user.and_then(|user| user.comment);
        self.description.into_iter().chain(rows).chain(self.list.iter().map(|row| row.words)).chain(comment)
    }
}

/// Every one of `words`, which are in small letters, begins a word of the text: "rem desk" is in "Remote Desktop", and
/// "irc" is not in "circuit".
fn holds_words(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    let begins = |word: &str| text.match_indices(word).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric));
    words.split_whitespace().all(begins)
}

/// The tables, ready to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Catalog<'c> {
    registry: &'c Registry,
    user: &'c [UserFile<'c>],
}

impl<'c> Catalog<'c> {
    /// What is known beside the names of a registry, which was made of these files.
    #[must_use]
    pub const fn new(registry: &'c Registry, user: &'c [UserFile<'c>]) -> Self {
        Self { registry, user }
    }

    /// The ports that answer a question: by port for one about ports; else the name first, then other names, parts of
    /// them, descriptions, each by port; then by transport.
    #[must_use]
    pub fn find(&self, query: &Query) -> Vec<Entry<'c>> {
        match &query.what {
            What::Ports(ports) => self.entries(std::slice::from_ref(ports), query.transports()),
            What::Words(words) => {
                let entries = self.entries(&self.candidates(words), query.transports());
                let ranked = entries.into_iter().filter_map(|entry| Some((entry.facts.rank(words)?, entry)));
                let mut ranked: Vec<_> = ranked.collect();
                ranked.sort_by_key(|(rank, _)| *rank);
                ranked.into_iter().map(|(_, entry)| entry).collect()
            }
        }
    }

    /// Ports that may answer a question in words: those of every line that holds them all, wherever. In order, and none
    /// twice.
    fn candidates(&self, words: &str) -> Vec<RangeInclusive<u16>> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut found = Vec::new();
        for table in [SERVICES, OVERLAY, SEED] {
            let lower = table.to_lowercase();
            let lines = lower.lines().skip(1).filter(|line| words.iter().all(|word| line.contains(word)));
            found.extend(lines.filter_map(ports_of));
        }
        for entry in self.user.iter().flat_map(|file| file.entries) {
            let names = std::iter::once(entry.name).chain(entry.aliases()).map(str::to_ascii_lowercase);
            let comment = String::from_utf8_lossy(entry.comment).to_lowercase();
            let texts: Vec<_> = names.chain([comment]).collect();
            if words.iter().all(|word| texts.iter().any(|text| text.contains(word))) {
                found.push(entry.ports());
            }
        }
        found.sort_by_key(|ports| *ports.start());
        let mut apart: Vec<RangeInclusive<u16>> = Vec::new();
        for ports in found {
            match apart.last_mut() {
                Some(last) if ports.start() <= last.end() => *last = *last.start()..=*last.end().max(ports.end()),
                _ => apart.push(ports),
            }
        }
        apart
    }

    /// What is known of these ports, which are in order and none twice: by port, then by transport.
    fn entries(&self, asked: &[RangeInclusive<u16>], transports: &[Transport]) -> Vec<Entry<'c>> {
        let mut known = Known { asked, transports, registry: self.registry, facts: BTreeMap::new() };
        // users go first: what they name hides the rest
        for file in self.user.iter().rev() {
            for entry in file.entries.iter().rev() {
                known.each(&entry.ports(), &[entry.transport], |_, facts| {
                    if facts.user.is_none() {
                        let comment = str::from_utf8(entry.comment).ok().filter(|comment| !comment.is_empty());
                        facts.user = Some(UserLine { file: file.path, line: entry.line, comment });
                    }
                    facts.also(entry.name);
                    entry.aliases().for_each(|alias| facts.also(alias));
                });
            }
        }
        for row in rows::<8>(OVERLAY, asked) {
            let [_, _, _, name, action, shown, why, source] = row.cells;
            known.each(&row.ports, &named_transports(&row), |port, facts| {
                let (name, shown) = (name_of(&row, name, port), name_of(&row, shown, port));
                let in_use = InUse { ports: (*row.ports.start(), *row.ports.end()), name, action, why, source };
                if action == "note" {
                    facts.range = Some(in_use);
                } else {
                    facts.overlay = Some(in_use);
                }
                facts.also(shown);
            });
        }
        for row in rows::<6>(SERVICES, asked) {
            let [_, _, name, aliases, description, note] = row.cells;
            known.each(&row.ports, &named_transports(&row), |_, facts| {
                facts.also(name);
                aliases.split(',').for_each(|alias| facts.also(alias));
                facts.description = Some(description).filter(|text| !text.is_empty());
                facts.any_transport = note == NO_TRANSPORT;
            });
        }
        for row in rows::<6>(SEED, asked) {
            let [_, _, name, words, agrees, note] = row.cells;
            let note = Some(note).filter(|note| !note.is_empty());
            known.each(&row.ports, &named_transports(&row), |port, facts| {
                let name = name_of(&row, name, port);
                facts.also(name);
                facts.list.push(Listed { name, words, agrees, note });
            });
        }
        known.into_entries()
    }
}

/// What was found out so far.
struct Known<'a, 'c> {
    asked: &'a [RangeInclusive<u16>],
    transports: &'a [Transport],
    registry: &'c Registry,
    facts: BTreeMap<(u16, Transport), Facts<'c>>,
}

impl<'c> Known<'_, 'c> {
    /// Adds what a row says to each of its ports that is asked for, on each of its transports that is.
    fn each(&mut self, ports: &RangeInclusive<u16>, on: &[Transport], mut add: impl FnMut(u16, &mut Facts<'c>)) {
        let from = self.asked.partition_point(|asked| asked.end() < ports.start());
        for asked in self.asked[from..].iter().take_while(|asked| asked.start() <= ports.end()) {
            for port in *asked.start().max(ports.start())..=*asked.end().min(ports.end()) {
                for &transport in self.transports {
                    let named_as = if transport == Transport::UdpLite { Transport::Udp } else { transport };
                    if on.contains(&named_as) {
                        let facts = self.facts.entry((port, transport));
                        add(port, facts.or_insert_with(|| named(self.registry, transport, port)));
                    }
                }
            }
        }
    }

    fn into_entries(self) -> Vec<Entry<'c>> {
        let entry = |((port, transport), mut facts): (_, Facts<'c>)| {
            let mut seen = HashSet::new();
            facts.aliases.retain(|name| seen.insert(*name));
            Entry { port, transport, facts }
        };
        self.facts.into_iter().map(entry).collect()
    }
}

/// What the registry knows of a port.
fn named(registry: &Registry, transport: Transport, port: u16) -> Facts<'_> {
    Facts {
        service: registry.service(transport, port).map(|id| registry.name(id)),
        layer: registry.layer(transport, port),
        iana_name: registry.iana(transport, port).map(|id| registry.name(id)),
        ..Facts::none()
    }
}

/// The rows of a table, which is in the order of first ports, that speak of the ports asked for. The build has checked
/// every row: one that is malformed would not be here.
fn rows<'a, const N: usize>(
    table: &'static str,
    asked: &'a [RangeInclusive<u16>],
) -> impl Iterator<Item = Row<'static, N>> + 'a {
    let last = asked.last().map_or(0, |ports| *ports.end());
    (1..)
        .zip(table.lines())
        .skip(1)
        .filter_map(|(line, text)| Some((line, text, ports_of(text)?)))
        .take_while(move |(.., ports)| *ports.start() <= last)
        .filter(|(.., ports)| {
            let from = asked.partition_point(|asked| asked.end() < ports.start());
            asked.get(from).is_some_and(|asked| asked.start() <= ports.end())
        })
        .filter_map(|(line, text, _)| parse::row(line, text).ok())
}

/// The ports of a line of a table.
fn ports_of(line: &str) -> Option<RangeInclusive<u16>> {
    parse::ports(line.split('\t').next()?).ok()
}

/// The name that a cell gives to a port.
fn name_of<const N: usize>(row: &Row<'static, N>, cell: &'static str, port: u16) -> &'static str {
    row.name_of(cell, port).unwrap_or_default()
}

fn named_transports<const N: usize>(row: &Row<'_, N>) -> Vec<Transport> {
    NAMED.into_iter().filter(|transport| row.transports.contains(&transport.name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was asked, in short; what is wrong with it.
    fn asked(text: &str) -> Result<(String, Option<&'static str>), String> {
        let query: Query = text.parse().map_err(|error: QueryError| error.to_string())?;
        assert_eq!(query.text, text);
        let what = match query.what {
            What::Ports(ports) => format!("{}-{}", ports.start(), ports.end()),
            What::Words(words) => words,
        };
        Ok((what, query.transport.map(Transport::name)))
    }

    #[test]
    fn queries_are_ports_or_words() {
        let cases = [
            ("443", "443-443", None),
            (" 443 ", "443-443", None),
            ("0", "0-0", None),
            ("22/tcp", "22-22", Some("tcp")),
            ("22/TCP", "22-22", Some("tcp")),
            ("5353/udplite", "5353-5353", Some("udplite")),
            ("6000-6010", "6000-6010", None),
            ("6000-6010/dccp", "6000-6010", Some("dccp")),
            ("80-80", "80-80", None),
            ("SSH", "ssh", None),
            ("ssh/sctp", "ssh", Some("sctp")),
            ("DNS over TLS", "dns over tls", None),
            ("TCP/IP", "tcp/ip", None),
            ("ethernet/ip/udp", "ethernet/ip", Some("udp")),
            ("3com-tsmux", "3com-tsmux", None),
            ("-", "-", None),
            ("/dev/null", "/dev/null", None),
        ];
        for (text, what, transport) in cases {
            assert_eq!(asked(text), Ok((what.to_owned(), transport)), "{text}");
        }
        let wrong = [
            ("", "it is empty; ask for a port such as 443, a range such as 6000-6010, or a name such as ssh"),
            (" \t", "it is empty; ask for a port such as 443, a range such as 6000-6010, or a name such as ssh"),
            ("/", "it is empty; ask for a port such as 443, a range such as 6000-6010, or a name such as ssh"),
            ("/tcp", "it is empty; ask for a port such as 443, a range such as 6000-6010, or a name such as ssh"),
            ("70000", "\"70000\" is no port; ports go from 0 to 65535"),
            ("99999999999999999999", "\"99999999999999999999\" is no port; ports go from 0 to 65535"),
            ("80-", "\"\" is no port; ports go from 0 to 65535"),
            ("80-79", "the range 80-79 is reversed; write 79-80"),
            ("80-79/tcp", "the range 80-79 is reversed; write 79-80"),
            ("1-2-3", "\"2-3\" is no port; ports go from 0 to 65535"),
            ("22/tpc", "\"tpc\" is no transport; one of: tcp, udp, udplite, sctp, dccp"),
            ("22/", "\"\" is no transport; one of: tcp, udp, udplite, sctp, dccp"),
            ("22/tcp/udp", "\"tcp/udp\" is no transport; one of: tcp, udp, udplite, sctp, dccp"),
        ];
        for (text, what) in wrong {
            assert_eq!(asked(text), Err(what.to_owned()), "{text}");
        }
    }

    #[test]
    fn words_begin_words() {
        let cases = [
            ("Remote Desktop", "remote", true),
            ("Remote Desktop", "rem desk", true),
            ("Remote Desktop", "desktop remote", true),
            ("Remote Desktop", "remote screen", false),
            ("Emergency Circuit", "irc", false),
            ("EtherNet/IP I/O", "ip", true),
            ("circuit, irc", "irc", true),
            ("FORTÉ", "forté", true),
        ];
        for (text, words, want) in cases {
            assert_eq!(holds_words(text, words), want, "{words} in {text}");
        }
    }

    /// A file of a user.
    const USER: &str =
        "own 443/tcp old alias # My service\nnewer 443/tcp\nhidden 9999/udp secret\nodd 9998/udp # My odd service\n";

    fn found(query: &str, file: &str, iana_names: bool) -> Vec<String> {
        let names = user::parse(file.as_bytes()).unwrap();
        let registry = Registry::new(names.entries.iter(), iana_names).unwrap();
        let files = [UserFile { path: "own.txt", entries: &names.entries }];
        let entries = Catalog::new(&registry, &files).find(&query.parse().unwrap());
        let short = |entry: &Entry<'_>| {
            let Facts { service, layer, iana_name, aliases, .. } = &entry.facts;
            let layer = layer.map_or("-", Layer::name);
            let (service, iana) = (service.unwrap_or("-"), iana_name.unwrap_or("-"));
            format!("{}/{} {service} {layer} {iana} [{}]", entry.port, entry.transport, aliases.join(" "))
        };
        entries.iter().map(short).collect()
    }

    #[test]
    fn every_name_of_a_port_is_known() {
        let cases: [(&str, bool, &[&str]); 15] = [
            (
                "443",
                false,
                &[
                    "443/tcp newer user https [own old alias https]",
                    "443/udp quic overlay https [https]",
                    "443/sctp https iana https []",
                ],
            ),
            (
                "443",
                true,
                &[
                    "443/tcp newer user https [own old alias https]",
                    "443/udp https iana https [quic]",
                    "443/sctp https iana https []",
                ],
            ),
            ("443/udplite", false, &["443/udplite quic overlay https [https]"]),
            ("9999", false, &["9999/tcp distinct iana distinct []", "9999/udp hidden user distinct [secret distinct]"]),
            ("113/tcp", false, &["113/tcp ident iana ident [auth]"]),
            ("370/udp", false, &["370/udp codaauth2 iana codaauth2 [securecast1]"]),
            ("465/tcp", false, &["465/tcp submissions iana submissions [urd]"]),
            ("9/dccp", false, &["9/dccp discard iana discard []"]),
            ("61/tcp", true, &["61/tcp ni-mail list - []"]),
            (
                "5228-5230",
                false,
                &[
                    "5228/tcp fcm overlay hpvroom [hpvroom]",
                    "5229/tcp fcm overlay jaxflow [jaxflow]",
                    "5230/tcp fcm overlay jaxflow-data [jaxflow-data]",
                ],
            ),
            ("71-72/tcp", false, &["71/tcp netrjs-1 iana netrjs-1 []", "72/tcp netrjs-2 iana netrjs-2 []"]),
            ("8200/tcp", false, &["8200/tcp trivnet1 iana trivnet1 []"]),
            ("31999-32000/tcp", false, &["31999/tcp - - - []", "32000/tcp - - - []"]),
            ("65535/udp", false, &[]),
            ("4/tcp", false, &[]),
        ];
        for (query, iana_names, want) in cases {
            assert_eq!(found(query, USER, iana_names), want, "{query}");
        }
    }

    #[test]
    fn the_best_answer_comes_first() {
        // of each answer the port, the transport and the name
        let head = |query: &str, file: &str| -> Vec<String> {
            let all = found(query, file, false);
            all.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
        };
        let cases: [(&str, &[&str]); 9] = [
            ("ssh", &["22/tcp ssh", "22/udp ssh", "22/sctp ssh", "614/tcp sshell"]),
            ("SSH/sctp", &["22/sctp ssh"]),
            ("ms-wbt-server", &["3389/tcp rdp", "3389/udp rdp"]),
            ("securecast1", &["370/tcp codaauth2", "370/udp codaauth2"]),
            ("vault/tcp", &["8200/tcp trivnet1"]),
            ("dns over tls", &["853/tcp dot", "853/udp doq"]),
            ("SECRET", &["9999/udp hidden"]),
            ("odd my", &["9998/udp odd"]),
            ("remote desktop", &["3389/tcp rdp", "3389/udp rdp"]),
        ];
        for (query, want) in cases {
            let found = head(query, USER);
            assert!(
                found.iter().zip(want).all(|(found, want)| found == want) && found.len() >= want.len(),
                "{query}: {found:?}"
            );
        }
        let ranks = |query: &str| {
            let registry = Registry::builtin();
            let Query { what: What::Words(words), .. } = query.parse().unwrap() else { panic!("no words") };
            let entries = Catalog::new(&registry, &[]).find(&query.parse().unwrap());
            let ranked = entries.iter().map(|entry| (entry.facts.rank(&words).unwrap(), entry.port, entry.transport));
            ranked.collect::<Vec<_>>()
        };
        for query in ["http", "ssh", "kerberos", "a", "net", "auth"] {
            let ranks = ranks(query);
            assert!(ranks.is_sorted() && ranks.len() > 5, "{query}: {ranks:?}");
        }
    }

    #[test]
    fn what_is_searched_in_words_is_what_is_known() {
        // whatever stands in an entry is found by it: the lines that are looked through are those that matter
        let registry = Registry::builtin();
        let catalog = Catalog::new(&registry, &[]);
        for port in [7_u16, 113, 370, 443, 465, 3389, 4413, 5228, 5900, 8200, 9100, 30_001, 60_500] {
            for entry in catalog.find(&port.to_string().parse().unwrap()) {
                let texts = entry.facts.texts().filter(|text| !text.is_empty());
                for text in entry.facts.service.into_iter().chain(entry.facts.aliases.clone()).chain(texts) {
                    let Ok(query) = text.parse::<Query>() else { continue };
                    assert!(catalog.find(&query).contains(&entry), "{text}: {entry:?}");
                }
            }
        }
    }
}
