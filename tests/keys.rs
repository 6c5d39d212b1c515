//! The README's tables of keys against the schemas: every key is documented, with its unit, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use portlabel::commands::DIFF_JSON_SCHEMA;
use portlabel::output::{FLOW_JSON_SCHEMA, SNAPSHOT_JSON_SCHEMA};
use serde_json::Value;

use crate::program::{portlabel, ran};

const SCHEMAS: [&str; 3] = [SNAPSHOT_JSON_SCHEMA, FLOW_JSON_SCHEMA, DIFF_JSON_SCHEMA];

/// Where the parts are documented that several keys have.
const RECURRING: &str = "Parts that recur";

/// Documents by their name: each key, with the part that it is if that recurs.
type Keys = BTreeMap<String, BTreeMap<String, Option<String>>>;

/// A schema, and the names of its objects that recur, in it or in another.
struct Schema<'s> {
    document: &'s Value,
    recurring: &'s BTreeSet<String>,
}

impl<'s> Schema<'s> {
    /// What a schema refers to, itself or as an alternative to null.
    fn referred(&self, schema: &'s Value) -> Option<(&'s str, &'s Value)> {
        let alternatives = schema["anyOf"].as_array().into_iter().flatten();
        let reference = std::iter::once(schema).chain(alternatives).find_map(|schema| schema["$ref"].as_str())?;
        let name = reference.strip_prefix("#/$defs/").expect("a definition of its own");
        Some((name, &self.document["$defs"][name]))
    }

    /// Adds the keys of an object.
    fn add_members(&self, object: &'s Value, path: &str, keys: &mut BTreeMap<String, Option<String>>) {
        for (key, member) in object["properties"].as_object().into_iter().flatten() {
            self.add(member, format!("{path}{key}"), keys);
        }
        if object["additionalProperties"].is_object() {
            self.add(&object["additionalProperties"], format!("{path}NAME"), keys);
        }
    }

    /// Adds a key, and those below it unless they recur.
    fn add(&self, schema: &'s Value, path: String, keys: &mut BTreeMap<String, Option<String>>) {
        let (name, object) = self.referred(schema).unzip();
        let object = object.unwrap_or(schema);
        if object["type"] == "array" {
            self.add(&object["items"], path + "[]", keys);
            return;
        }
        let part = name.filter(|name| self.recurring.contains(*name)).map(str::to_owned);
        if part.is_none() {
            self.add_members(object, &format!("{path}."), keys);
        }
        keys.insert(path, part);
    }
}

/// How often each definition is referred to.
fn references<'s>(schema: &'s Value, counts: &mut BTreeMap<&'s str, u32>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                *counts.entry(name.trim_start_matches("#/$defs/")).or_default() += 1;
            }
            members.values().for_each(|member| references(member, counts));
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, counts)),
        _ => {}
    }
}

/// The keys of the schemas.
fn of_schemas(documents: &[Value]) -> Keys {
    let mut recurring = BTreeSet::new();
    for document in documents {
        let mut counts = BTreeMap::new();
        references(document, &mut counts);
        let objects = counts.into_iter().filter(|(name, _)| document["$defs"][*name]["type"] == "object");
        recurring.extend(objects.filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()));
    }
    let mut keys = Keys::new();
    for document in documents {
        let schema = Schema { document, recurring: &recurring };
        schema.add_members(document, "", keys.entry(document["title"].to_string().replace('"', "")).or_default());
        for name in recurring.iter().filter(|name| !document["$defs"][name.as_str()].is_null()) {
            let parts = keys.entry(RECURRING.to_owned()).or_default();
            schema.add_members(&document["$defs"][name.as_str()], &format!("{name}."), parts);
        }
    }
    keys
}

/// The rows of the README's tables: key, unit, meaning.
fn of_readme() -> BTreeMap<String, Vec<[String; 3]>> {
    let readme = include_str!("../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("Every key")).expect("a section");
    let mut tables = BTreeMap::new();
    for table in section.split("\n### ").skip(1) {
        let (title, text) = table.split_once('\n').expect("a table");
        let title = title.split('`').find(|part| !part.is_empty()).expect("a name");
        let rows = text.lines().filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix("| `")?.split(" | ").collect();
            let [key, unit, meaning] = cells.try_into().unwrap_or_else(|_| panic!("not three cells: {line}"));
            let key = key.strip_suffix('`').expect("a key in code").to_owned();
            Some([key, unit.to_owned(), meaning.trim_end_matches([' ', '|']).to_owned()])
        });
        tables.insert(title.to_owned(), rows.collect());
    }
    tables
}

#[test]
fn the_readme_documents_every_key_and_no_other() {
    let documents = SCHEMAS.map(|schema| serde_json::from_str(schema).expect("JSON"));
    let (schemas, readme) = (of_schemas(&documents), of_readme());
    assert_eq!(readme.keys().collect::<Vec<_>>(), schemas.keys().collect::<Vec<_>>());
    let mut faults = Vec::new();
    for (document, keys) in &schemas {
        let rows = &readme[document];
        for key in keys.keys().filter(|key| !rows.iter().any(|[row, ..]| row == *key)) {
            faults.push(format!("{document}: {key} is not documented"));
        }
        let mut seen = BTreeSet::new();
        for [key, unit, meaning] in rows {
            let Some(part) = keys.get(key) else {
                faults.push(format!("{document}: there is no key {key}"));
                continue;
            };
            if !seen.insert(key) || meaning.is_empty() {
                faults.push(format!("{document}: {key} is documented twice, or not at all"));
            }
            if !is_unit_of(unit, key, part.as_deref()) {
                faults.push(format!("{document}: {key} has the unit '{unit}'"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The unit is what ends the key; of what recurs, it names that part.
fn is_unit_of(unit: &str, key: &str, part: Option<&str>) -> bool {
    let ends = [
        ("_us", "µs"),
        ("bytes", "bytes"),
        ("packets", "packets"),
        ("percent", "%"),
        ("_ts", "time"),
        ("flows", "flows"),
    ];
    let named = ends.iter().find(|(end, _)| key.ends_with(end)).map(|(_, unit)| *unit);
    match (part, named) {
        (Some("summary"), named) => named.is_some_and(|named| unit == format!("`summary`, {named}")),
        (Some(part), _) => unit == format!("`{part}`"),
        (None, Some(named)) => unit == named,
        (None, None) => !unit.is_empty(),
    }
}

#[test]
fn the_interval_is_null_where_it_is_said_to_be() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("a.pcap");
    // a header (Ethernet, microseconds) without packets
    let header = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1];
    std::fs::write(&path, header.map(u32::to_be_bytes).concat()).expect("room");
    let ran = ran(portlabel().arg(path).args(["-o", "json", "--interval", "1s"]));
    assert_eq!((ran.code, &ran.json()["interval"]), (Some(0), &Value::Null), "{}", ran.stderr);
    let said = "null without --interval, or when nothing was read";
    let readme = of_readme();
    let row = readme["portlabel.snapshot/1"].iter().find(|[key, ..]| key == "interval").expect("a row");
    assert!(row[2].ends_with(said), "{row:?}");
    let schema: Value = serde_json::from_str(SNAPSHOT_JSON_SCHEMA).expect("JSON");
    let described = schema["properties"]["interval"]["description"].as_str().expect("a description");
    assert!(described.ends_with(&format!("{said}.")), "{described}");
}
