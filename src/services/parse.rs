//! Rows of the tables in `data/`: text in; checked rows, or the line and what is wrong with it, out.
//!
//! The build script compiles this file too and turns the tables into arrays, so it takes nothing but the standard
//! library: one parser, and its tests run with the crate's.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

/// Columns of `data/services.tsv`.
pub const SERVICES: [&str; 6] = ["ports", "transport", "name", "aliases", "description", "note"];
/// Columns of `data/overlay.tsv`.
pub const OVERLAY: [&str; 8] = ["ports", "transport", "iana_name", "name", "action", "shown", "why", "source"];
/// Columns of `data/strong.tsv`.
pub const STRONG: [&str; 5] = ["ports", "transport", "name", "why", "source"];
/// Columns of `data/pairs.tsv`; `ports` are the server's.
pub const PAIRS: [&str; 5] = ["ports", "transport", "client_port", "why", "source"];
/// Columns of `data/seed.tsv`.
pub const SEED: [&str; 6] = ["ports", "transport", "name", "words", "agrees", "note"];

/// What `note` says of a row of `data/services.tsv` for which IANA names no transport.
const WITHOUT_TRANSPORT: &str = "no transport in registry";
/// The strong set ends here: from this port up, Linux gives ports to clients (`ip_local_port_range` in the kernel's
/// `ip-sysctl` document), and a name says little by itself.
const STRONG_END: u16 = 32_768;

/// Longest service name, in characters (RFC 6335, section 5.1).
const NAME_MAX: usize = 15;
/// Words that outputs use for rows without a service or with many: no service may be called so.
pub const RESERVED: [&str; 2] = ["other", "unlabelled"];

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// The fault, in words that go after `FILE:LINE: `.
    pub what: String,
}

impl Fault {
    /// A fault of `line`.
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// The cells of one line, the first two understood.
#[derive(Debug)]
pub struct Row<'t, const N: usize> {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// The ports of the row.
    pub ports: RangeInclusive<u16>,
    /// The transports of the row, by the word of the port registry; both for `both`.
    pub transports: &'static [&'static str],
    /// Every cell as written.
    pub cells: [&'t str; N],
}

impl<const N: usize> Row<'_, N> {
    /// A fault of this row.
    pub fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(self.line, what)
    }

    /// Every port of the row on each of its transports.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.transports.iter().flat_map(|&transport| self.ports.clone().map(move |port| (transport, port)))
    }

    /// The name that `cell` gives to `port`: a cell holds one name, or one for each port in order, parted by `/`.
    ///
    /// # Errors
    /// A cell with several names, but not as many as the row has ports.
    pub fn name_of<'c>(&self, cell: &'c str, port: u16) -> Result<&'c str, Fault> {
        let names = cell.split('/').count();
        if names == 1 {
            return Ok(cell);
        }
        if names != self.ports.len() {
            return Err(self.fault(format!("{names} names for {} ports", self.ports.len())));
        }
        Ok(cell.split('/').nth(usize::from(port - self.ports.start())).unwrap_or_default())
    }
}

/// A port of a transport, which is the word of the port registry: `tcp`, `udp`, `sctp` or `dccp`.
pub type Key = (&'static str, u16);

/// The rows of a table whose first line names the given columns.
///
/// # Errors
/// The first line that is malformed (other columns, a range that is none, a transport that is unknown), else the first
/// that is out of order.
pub fn rows<'t, const N: usize>(table: &'t str, columns: &[&str; N]) -> Result<Vec<Row<'t, N>>, Fault> {
    let mut lines = (1..).zip(table.lines());
    let header = lines.next().map_or("", |(_, header)| header);
    if !header.split('\t').eq(columns.iter().copied()) {
        return Err(Fault::new(1, format!("the columns are not {}", columns.join(", "))));
    }
    let rows = lines.map(|(line, text)| row(line, text)).collect::<Result<Vec<Row<'t, N>>, Fault>>()?;
    match rows.windows(2).find(|pair| pair[0].ports.start() > pair[1].ports.start()) {
        Some(pair) => Err(pair[1].fault(format!("port {} is out of order", pair[1].ports.start()))),
        None => Ok(rows),
    }
}

/// One line of a table, behind the first.
///
/// # Errors
/// It is malformed.
pub fn row<const N: usize>(line: usize, text: &str) -> Result<Row<'_, N>, Fault> {
    let cells: Vec<&str> = text.split('\t').collect();
    let found = cells.len();
    let cells: [&str; N] = cells.try_into().map_err(|_| Fault::new(line, format!("{found} cells instead of {N}")))?;
    if let Some(cell) = cells.iter().find(|cell| cell.trim() != **cell) {
        return Err(Fault::new(line, format!("space around \"{cell}\"")));
    }
    let [first, second, ..] = cells[..] else {
        return Err(Fault::new(line, "no ports and transport"));
    };
    let ports = ports(first).map_err(|what| Fault::new(line, what))?;
    let transports = transports(second).ok_or_else(|| Fault::new(line, format!("\"{second}\" is no transport")))?;
    Ok(Row { line, ports, transports, cells })
}

/// A port such as `80`, or a range such as `6000-6063`, both ends in it.
///
/// # Errors
/// Says what is wrong with `text`.
pub fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(format!("\"{text}\" is no port, which is a number from 0 to 65535")),
    };
    let Some((first, last)) = text.split_once('-') else {
        return port(text).map(|port| port..=port);
    };
    let (first, last) = (port(first)?, port(last)?);
    if first >= last {
        return Err(format!("the range {text} is reversed or has one port"));
    }
    Ok(first..=last)
}

fn transports(text: &str) -> Option<&'static [&'static str]> {
    Some(match text {
        "tcp" => &["tcp"],
        "udp" => &["udp"],
        "sctp" => &["sctp"],
        "dccp" => &["dccp"],
        "both" => &["tcp", "udp"],
        _ => return None,
    })
}

/// A service name as RFC 6335, section 5.1 has it, and `_`, which one old registration (`edi_service`) holds.
///
/// # Errors
/// Says what is wrong with `name`.
pub fn check_name(name: &str) -> Result<(), String> {
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'_';
    if name.is_empty() {
        Err("the name is missing".to_owned())
    } else if name.len() > NAME_MAX {
        Err(format!("the name \"{name}\" is longer than {NAME_MAX} characters"))
    } else if name.bytes().any(odd) {
        Err(format!("the name \"{name}\" holds something else than letters, digits, - and _"))
    } else if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        Err(format!("the name \"{name}\" is reserved"))
    } else {
        Ok(())
    }
}

/// What one table calls each port.
#[derive(Debug, Default)]
pub struct Names<'t>(BTreeMap<Key, (&'t str, usize)>);

impl<'t> Names<'t> {
    /// Notes that `line` calls a port `name`.
    ///
    /// # Errors
    /// The port has a name already, or this cannot be one.
    pub fn insert(&mut self, key: Key, name: &'t str, line: usize) -> Result<(), Fault> {
        check_name(name).map_err(|what| Fault::new(line, what))?;
        match self.0.entry(key) {
            Entry::Vacant(free) => {
                free.insert((name, line));
                Ok(())
            }
            Entry::Occupied(taken) => {
                Err(Fault::new(line, format!("{}/{} is on line {} already", key.1, key.0, taken.get().1)))
            }
        }
    }

    /// The name of a port.
    pub fn get(&self, key: Key) -> Option<&'t str> {
        self.0.get(&key).map(|(name, _)| *name)
    }

    /// Every port with its name, ordered by transport and port.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &'t str)> {
        self.0.iter().map(|(key, (name, _))| (*key, *name))
    }
}

/// The names in IANA's own spelling, from the rows of `data/services.tsv`.
///
/// # Errors
/// A port on two rows, or a name that cannot be one.
pub fn iana<'t>(rows: &[Row<'t, 6>]) -> Result<Names<'t>, Fault> {
    let mut names = Names::default();
    for row in rows {
        let [_, _, name, _, _, _] = row.cells;
        for key in row.keys() {
            names.insert(key, name, row.line)?;
        }
    }
    Ok(names)
}

/// The names that the rows of `data/overlay.tsv` show instead of IANA's or where IANA has none.
///
/// # Errors
/// A port on two rows, a name that cannot be one, an `iana_name` that is not what `iana` says, or a `shown` that does
/// not follow from `action`.
pub fn overlay<'t>(rows: &[Row<'t, 8>], iana: &Names<'_>) -> Result<Names<'t>, Fault> {
    let mut names = Names::default();
    for row in rows {
        let [_, _, registered, name, action, shown, _, source] = row.cells;
        let follows = match action {
            "rename" => shown == name && !registered.is_empty(),
            "add" => shown == name && registered.is_empty(),
            "keep" => shown == name && shown == registered,
            "ambiguous" => !registered.is_empty() && (shown == name || shown == registered),
            "note" => shown.is_empty() && registered.is_empty(),
            _ => return Err(row.fault(format!("\"{action}\" is no action"))),
        };
        if !follows {
            return Err(row.fault(format!("{action} does not go with these three names")));
        }
        if source.is_empty() {
            return Err(row.fault("the source is missing"));
        }
        if action == "note" {
            continue;
        }
        for key in row.keys() {
            let (listed, found) = (row.name_of(registered, key.1)?, iana.get(key).unwrap_or_default());
            if listed != found {
                return Err(row.fault(format!("IANA calls {}/{} \"{found}\", not \"{listed}\"", key.1, key.0)));
            }
            names.insert(key, row.name_of(shown, key.1)?, row.line)?;
        }
    }
    Ok(names)
}

/// The names that only the rows of `data/seed.tsv` have: where IANA has one, that one stands.
///
/// # Errors
/// A port with two names, or a name that cannot be one.
pub fn list<'t>(rows: &[Row<'t, 6>], iana: &Names<'_>) -> Result<Names<'t>, Fault> {
    let mut names = Names::default();
    for row in rows {
        let [_, _, name, words, _, _] = row.cells;
        if words.is_empty() {
            return Err(row.fault("the list's words are missing"));
        }
        for key in row.keys().filter(|&key| iana.get(key).is_none()) {
            names.insert(key, row.name_of(name, key.1)?, row.line)?;
        }
    }
    Ok(names)
}

/// The ports whose name is a strong sign of a server: those that the overlay renames or adds, below the ports of
/// clients, and the rows of `data/strong.tsv`.
///
/// # Errors
/// A port that is strong already, too high a port, a name that is not IANA's, or no source.
pub fn strong(rows: &[Row<'_, 5>], overlay: &[Row<'_, 8>], iana: &Names<'_>) -> Result<BTreeSet<Key>, Fault> {
    let in_use = overlay.iter().filter(|row| matches!(row.cells[4], "rename" | "add"));
    let mut strong: BTreeSet<Key> = in_use.flat_map(Row::keys).filter(|(_, port)| *port < STRONG_END).collect();
    for row in rows {
        let [_, _, name, _, source] = row.cells;
        if source.is_empty() {
            return Err(row.fault("the source is missing"));
        }
        for key in row.keys() {
            let found = iana.get(key).unwrap_or_default();
            if found != name {
                return Err(row.fault(format!("IANA calls {}/{} \"{found}\", not \"{name}\"", key.1, key.0)));
            }
            if key.1 >= STRONG_END {
                return Err(row.fault(format!("no port from {STRONG_END} up is strong")));
            }
            if !strong.insert(key) {
                return Err(row.fault(format!("{}/{} is strong already", key.1, key.0)));
            }
        }
    }
    Ok(strong)
}

/// Pairs of ports of which one is known to be the server's, from the rows of `data/pairs.tsv`: the key of the server's,
/// and the client's port.
///
/// # Errors
/// A pair that is there already, in either order, an end that is not a port with a name, or no source.
pub fn pairs(rows: &[Row<'_, 5>], iana: &Names<'_>) -> Result<BTreeSet<(Key, u16)>, Fault> {
    let mut pairs = BTreeSet::new();
    for row in rows {
        let [_, _, client_port, _, source] = row.cells;
        if source.is_empty() {
            return Err(row.fault("the source is missing"));
        }
        let client_port = match ports(client_port) {
            Ok(ports) if ports.start() == ports.end() => *ports.start(),
            _ => return Err(row.fault(format!("\"{client_port}\" is no port"))),
        };
        for key in row.keys() {
            let client = (key.0, client_port);
            if let Some((transport, port)) = [key, client].into_iter().find(|key| iana.get(*key).is_none()) {
                return Err(row.fault(format!("IANA has no name for {port}/{transport}")));
            }
            if pairs.contains(&(client, key.1)) || !pairs.insert((key, client_port)) {
                return Err(row.fault(format!("{}/{} and {client_port} are paired already", key.1, key.0)));
            }
        }
    }
    Ok(pairs)
}

/// The ports that IANA names without saying on which transport, from the rows of `data/services.tsv`.
pub fn vague(rows: &[Row<'_, 6>]) -> BTreeSet<Key> {
    rows.iter().filter(|row| row.cells[5] == WITHOUT_TRANSPORT).flat_map(Row::keys).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_and_ranges() {
        let cases = [
            ("0", Some(0..=0)),
            ("80", Some(80..=80)),
            ("65535", Some(65_535..=65_535)),
            ("6000-6063", Some(6000..=6063)),
            ("0-65535", Some(0..=65_535)),
            ("", None),
            ("-", None),
            ("80-", None),
            ("-80", None),
            ("+80", None),
            (" 80", None),
            ("65536", None),
            ("80-79", None),
            ("80-80", None),
            ("1-2-3", None),
            ("٨٠", None),
        ];
        for (text, want) in cases {
            assert_eq!(ports(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn names_are_those_of_rfc_6335() {
        let cases = [
            ("http", true),
            ("EtherNet-IP-1", true),
            ("edi_service", true),
            ("netconfsoaphttp", true),
            ("sixteen-letters-", false),
            ("", false),
            ("sql*net", false),
            ("two words", false),
            ("dünn", false),
            ("other", false),
            ("Unlabelled", false),
        ];
        for (name, want) in cases {
            assert_eq!(check_name(name).is_ok(), want, "{name}");
        }
    }

    #[test]
    fn a_malformed_row_is_told_by_its_line() {
        let cases = [
            ("ports\tname", "1: the columns are not ports, transport, name, aliases, description, note"),
            ("", "1: the columns are not ports, transport, name, aliases, description, note"),
            ("80\ttcp\thttp", "3: 3 cells instead of 6"),
            ("80\ttcp\thttp\t\tWeb\t\t", "3: 7 cells instead of 6"),
            ("", "3: 1 cells instead of 6"),
            ("x\ttcp\thttp\t\tWeb\t", "3: \"x\" is no port, which is a number from 0 to 65535"),
            ("81-80\ttcp\thttp\t\tWeb\t", "3: the range 81-80 is reversed or has one port"),
            ("80\tquic\thttp\t\tWeb\t", "3: \"quic\" is no transport"),
            ("80\ttcp\thttp \t\tWeb\t", "3: space around \"http \""),
            ("80\ttcp\t\t\tWeb\t", "3: the name is missing"),
            ("80\ttcp\ta-very-long-name\t\tWeb\t", "3: the name \"a-very-long-name\" is longer than 15 characters"),
            ("7-8\ttcp\thttp\t\tWeb\t", "3: 7/tcp is on line 2 already"),
            ("6\ttcp\thttp\t\tWeb\t", "3: port 6 is out of order"),
        ];
        for (case, (text, want)) in cases.into_iter().enumerate() {
            let header = SERVICES.join("\t");
            let table = if case < 2 { text.to_owned() } else { format!("{header}\n7\ttcp\techo\t\t\t\n{text}\n") };
            let fault = rows(&table, &SERVICES).and_then(|rows| iana(&rows).map(drop)).unwrap_err();
            assert_eq!(fault.to_string(), want, "{text:?}");
        }
    }

    #[test]
    fn an_overlay_row_is_held_to_its_action() {
        let services = format!("{}\n1-2\tudp\tpair\t\t\t\n80\ttcp\thttp\t\t\t\n", SERVICES.join("\t"));
        let iana = iana(&rows(&services, &SERVICES).unwrap()).unwrap();
        let cases = [
            ("80\ttcp\thttp\tweb\trename\tweb\t\tpage", Ok(Some("web"))),
            ("80\ttcp\thttp\tweb\tambiguous\tweb\t\tpage", Ok(Some("web"))),
            ("80\ttcp\thttp\tproduct\tambiguous\thttp\t\tpage", Ok(Some("http"))),
            ("80\ttcp\thttp\thttp\tkeep\thttp\t\tpage", Ok(Some("http"))),
            ("79-81\ttcp\t\tsite\tnote\t\t\tpage", Ok(None)),
            ("81\ttcp\t\tweb\tadd\tweb\t\tpage", Ok(None)),
            ("80\ttcp\t\tweb\tadd\tweb\t\tpage", Err("2: IANA calls 80/tcp \"http\", not \"\"")),
            ("80\ttcp\twww\tweb\trename\tweb\t\tpage", Err("2: IANA calls 80/tcp \"http\", not \"www\"")),
            ("81\ttcp\t\tweb\trename\tweb\t\tpage", Err("2: rename does not go with these three names")),
            ("80\ttcp\thttp\tweb\trename\thttp\t\tpage", Err("2: rename does not go with these three names")),
            ("80\ttcp\thttp\tweb\tkeep\thttp\t\tpage", Err("2: keep does not go with these three names")),
            ("80\ttcp\thttp\tweb\tambiguous\tthird\t\tpage", Err("2: ambiguous does not go with these three names")),
            ("80\ttcp\t\tweb\tnote\tweb\t\tpage", Err("2: note does not go with these three names")),
            ("80\ttcp\thttp\tweb\tdrop\tweb\t\tpage", Err("2: \"drop\" is no action")),
            ("80\ttcp\thttp\tweb\trename\tweb\t\t", Err("2: the source is missing")),
            ("1-2\tudp\tpair/pair\ta/b\trename\ta/b\t\tpage", Ok(None)),
            ("1-2\tudp\tpair\ta/b/c\trename\ta/b/c\t\tpage", Err("2: 3 names for 2 ports")),
        ];
        for (text, want) in cases {
            let table = format!("{}\n{text}\n", OVERLAY.join("\t"));
            let names = rows(&table, &OVERLAY).and_then(|rows| overlay(&rows, &iana));
            let got = names.as_ref().map(|names| names.get(("tcp", 80))).map_err(ToString::to_string);
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn the_list_names_only_what_iana_does_not() {
        let services = format!("{}\n80\ttcp\thttp\t\t\t\n", SERVICES.join("\t"));
        let iana = iana(&rows(&services, &SERVICES).unwrap()).unwrap();
        let table = format!("{}\n80-81\tboth\ta/b\tTwo\tyes\t\n", SEED.join("\t"));
        let names = list(&rows(&table, &SEED).unwrap(), &iana).unwrap();
        let got: Vec<_> = names.iter().collect();
        assert_eq!(got, [(("tcp", 81), "b"), (("udp", 80), "a"), (("udp", 81), "b")]);
    }

    #[test]
    fn the_strong_set_is_reviewed() {
        let services = format!("{}\n22\ttcp\tssh\t\t\t\n80\ttcp\thttp\t\t\t\n", SERVICES.join("\t"));
        let iana = iana(&rows(&services, &SERVICES).unwrap()).unwrap();
        let overlay = "80\ttcp\thttp\tweb\trename\tweb\t\tpage\n81\ttcp\t\tmore\tadd\tmore\t\tpage\n\
                       82-83\ttcp\t\tsite\tnote\t\t\tpage\n50000\ttcp\t\thigh\tadd\thigh\t\tpage";
        let overlay = format!("{}\n{overlay}\n", OVERLAY.join("\t"));
        let overlay = rows(&overlay, &OVERLAY).unwrap();
        let cases = [
            ("22\ttcp\tssh\t\tpage", Ok(vec![22, 80, 81])),
            ("22\ttcp\tssh\t\t", Err("2: the source is missing")),
            ("22\ttcp\tshell\t\tpage", Err("2: IANA calls 22/tcp \"ssh\", not \"shell\"")),
            ("80\ttcp\thttp\t\tpage", Err("2: 80/tcp is strong already")),
        ];
        for (text, want) in cases {
            let table = format!("{}\n{text}\n", STRONG.join("\t"));
            let got = rows(&table, &STRONG).and_then(|rows| strong(&rows, &overlay, &iana));
            let got =
                got.map(|keys| keys.into_iter().map(|(_, port)| port).collect()).map_err(|fault| fault.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn pairs_are_reviewed() {
        let services = format!("{}\n67-69\tudp\tboot\t\t\t\n", SERVICES.join("\t"));
        let iana = iana(&rows(&services, &SERVICES).unwrap()).unwrap();
        let cases = [
            ("67\tudp\t68\t\tpage", Ok(vec![(("udp", 67), 68)])),
            ("67-68\tudp\t69\t\tpage", Ok(vec![(("udp", 67), 69), (("udp", 68), 69)])),
            ("67\tudp\t68\t\t", Err("2: the source is missing")),
            ("67\tudp\tclient\t\tpage", Err("2: \"client\" is no port")),
            ("67\tudp\t68-69\t\tpage", Err("2: \"68-69\" is no port")),
            ("67\ttcp\t68\t\tpage", Err("2: IANA has no name for 67/tcp")),
            ("67\tudp\t70\t\tpage", Err("2: IANA has no name for 70/udp")),
            ("67\tudp\t68\t\tpage\n68\tudp\t67\t\tpage", Err("3: 68/udp and 67 are paired already")),
        ];
        for (text, want) in cases {
            let table = format!("{}\n{text}\n", PAIRS.join("\t"));
            let got = rows(&table, &PAIRS).and_then(|rows| pairs(&rows, &iana));
            let got = got.map(|pairs| pairs.into_iter().collect()).map_err(|fault| fault.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }
}
