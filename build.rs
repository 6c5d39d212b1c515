//! Turns the tables in `data/` into the arrays of `services::tables`; a row that is wrong fails the build by its line.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

#[path = "src/services/parse.rs"]
mod parse;

use parse::{Key, Names, OVERLAY, PAIRS, SEED, SERVICES, STRONG};

/// Transports that have a table of their own, by the registry's word, and what the table is called.
const TABLES: [(&str, &str); 4] = [("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP"), ("dccp", "DCCP")];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/services/parse.rs");
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            println!("cargo::error={fault}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let [services, overlay, seed, strong, pairs] = ["services", "overlay", "seed", "strong", "pairs"].map(read);
    let [services, overlay, seed, strong, pairs] = [services?, overlay?, seed?, strong?, pairs?];
    let services = parse::rows(&services, &SERVICES).map_err(at("services"))?;
    let iana = parse::iana(&services).map_err(at("services"))?;
    let overlay = parse::rows(&overlay, &OVERLAY).map_err(at("overlay"))?;
    let in_use = parse::overlay(&overlay, &iana).map_err(at("overlay"))?;
    let list = parse::rows(&seed, &SEED).and_then(|rows| parse::list(&rows, &iana)).map_err(at("seed"))?;
    let strong = parse::rows(&strong, &STRONG);
    let strong = strong.and_then(|rows| parse::strong(&rows, &overlay, &iana)).map_err(at("strong"))?;
    let pairs = parse::rows(&pairs, &PAIRS).and_then(|rows| parse::pairs(&rows, &iana)).map_err(at("pairs"))?;
    let known = in_use.iter().map(|(key, _)| key).collect();
    // where the overlay gives a name, it says on which transport
    let vague = parse::vague(&services).into_iter().filter(|key| in_use.get(*key).is_none()).collect();
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    let path = Path::new(&out).join("tables.rs");
    let text = source(&iana, &in_use, &list)? + &reviewed([&strong, &known, &vague], &pairs);
    fs::write(&path, text).map_err(|fault| format!("{}: {fault}", path.display()))
}

fn read(table: &str) -> Result<String, String> {
    let path = format!("data/{table}.tsv");
    println!("cargo::rerun-if-changed={path}");
    fs::read_to_string(&path).map_err(|fault| format!("{path}: {fault}"))
}

fn at(table: &'static str) -> impl Fn(parse::Fault) -> String {
    move |fault| format!("data/{table}.tsv:{fault}")
}

/// The Rust text of the arrays.
fn source(iana: &Names<'_>, overlay: &Names<'_>, list: &Names<'_>) -> Result<String, String> {
    let mut pool = Pool::default();
    let mut tables: HashMap<&str, Table> = HashMap::new();
    for (key, (layer, name)) in layered(iana, overlay, list) {
        let id = pool.intern(name)?;
        let registered = iana.get(key).map(|name| pool.intern(name)).transpose()?;
        let (transport, port) = key;
        let table = tables.entry(transport).or_default();
        if registered != Some(id) {
            table.exceptions.push((port, layer, registered));
        }
        match table.spans.last_mut() {
            Some((_, end, same)) if *same == id && end.checked_add(1) == Some(port) => *end = port,
            _ => table.spans.push((port, port, id)),
        }
    }
    write(&pool, &tables).map_err(|fault| fault.to_string())
}

/// Every named port with the layer that names it, ordered by transport and port: the overlay goes before IANA,
/// IANA before the list.
fn layered<'t>(iana: &Names<'t>, overlay: &Names<'t>, list: &Names<'t>) -> BTreeMap<Key, (&'static str, &'t str)> {
    let mut named = BTreeMap::new();
    for (layer, names) in [("List", list), ("Iana", iana), ("Overlay", overlay)] {
        named.extend(names.iter().map(|(key, name)| (key, (layer, name))));
    }
    named
}

/// What becomes one table of ports; names are ids.
#[derive(Default)]
struct Table {
    /// First and last port of a run with one name.
    spans: Vec<(u16, u16, usize)>,
    /// Ports whose name is not IANA's, the layer it is from, and IANA's.
    exceptions: Vec<(u16, &'static str, Option<usize>)>,
}

/// The names, each once: one text, and where each starts in it.
#[derive(Default)]
struct Pool<'t> {
    text: String,
    starts: Vec<u16>,
    ids: HashMap<&'t str, usize>,
    spellings: HashMap<String, &'t str>,
}

impl<'t> Pool<'t> {
    /// The id of `name`, counted from 0.
    fn intern(&mut self, name: &'t str) -> Result<usize, String> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(id);
        }
        if let Some(other) = self.spellings.insert(name.to_ascii_lowercase(), name) {
            return Err(format!("data: the names \"{other}\" and \"{name}\" differ in case only"));
        }
        let id = self.starts.len();
        self.starts.push(u16::try_from(self.text.len()).map_err(|_| "data: the names fill more than 65,535 bytes")?);
        self.text.push_str(name);
        self.ids.insert(name, id);
        Ok(id)
    }
}

fn write(pool: &Pool<'_>, tables: &HashMap<&str, Table>) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "static NAMES: &str = {:?};", pool.text)?;
    writeln!(out, "static STARTS: [u16; {}] = {:?};", pool.starts.len(), pool.starts)?;
    let nothing = Table::default();
    for (transport, name) in TABLES {
        let table = tables.get(transport).unwrap_or(&nothing);
        writeln!(out, "static {name}_IDS: Ids = ids(&{:?});", table.spans)?;
        writeln!(out, "pub(super) const {name}: PortTable = PortTable::built_in(&{name}_IDS, &[")?;
        for (port, layer, iana) in &table.exceptions {
            writeln!(out, "    Exception::of({port}, Layer::{layer}, {iana:?}),")?;
        }
        writeln!(out, "]);")?;
    }
    Ok(out)
}

/// What the ladder knows of ports beside their names, as Rust text.
fn reviewed([strong, known, vague]: [&BTreeSet<Key>; 3], pairs: &BTreeSet<(Key, u16)>) -> String {
    let ports = |keys: &BTreeSet<Key>, transport| -> Vec<u16> {
        keys.iter().filter(|key| key.0 == transport).map(|key| key.1).collect()
    };
    let table = |(transport, name)| {
        let pairs = pairs.iter().filter(|(key, _)| key.0 == transport).map(|(key, client)| (key.1, *client));
        format!(
            "pub(super) static {name}_REVIEWED: Reviewed = Reviewed::new(&{:?}, &{:?}, &{:?}, &{:?});\n",
            ports(strong, transport),
            ports(known, transport),
            ports(vague, transport),
            pairs.collect::<Vec<_>>()
        )
    };
    TABLES.map(table).concat()
}
