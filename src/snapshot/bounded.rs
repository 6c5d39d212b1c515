//! Lists of documents that come from elsewhere: none is read further than a run of this program could have written it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{EvidenceCounts, InterfaceDrops};
use crate::decode::Portless;
use crate::services::Evidence;
use crate::units::Transport;

/// Inputs of a report, and interfaces of a sum of reports: more than any archive has files, and any network interfaces.
pub const NAMES_MAX: usize = 1_000_000;
/// Rows of services: each name that there can be, and unlabelled traffic, on each transport.
pub const ROWS_MAX: usize = (1 << 16) * Transport::ALL.len();
/// Server ports of a row.
pub(super) const PORTS_MAX: usize = 1 << 16;
/// Rows of packets without ports.
pub(super) const REASONS_MAX: usize = Portless::ALL.len();

/// Reads a list of at most `MAX` elements.
pub(super) fn list<'de, const MAX: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct List<const MAX: usize, T>(PhantomData<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for List<MAX, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut written: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = written.next_element()? {
                if list.len() == MAX {
                    return Err(too_many(MAX));
                }
                list.push(element);
            }
            list.shrink_to_fit();
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List::<MAX, T>(PhantomData))
}

/// Reads what was lost on each interface, of which there are at most [`NAMES_MAX`]; `None` where the key is absent.
pub(super) fn interfaces<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, InterfaceDrops>>, D::Error> {
    struct Interfaces;

    impl<'de> Visitor<'de> for Interfaces {
        type Value = BTreeMap<String, InterfaceDrops>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object of at most {NAMES_MAX} interfaces")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut written: A) -> Result<Self::Value, A::Error> {
            let mut interfaces = BTreeMap::new();
            while let Some((name, drops)) = written.next_entry()? {
                if interfaces.len() == NAMES_MAX {
                    return Err(too_many(NAMES_MAX));
                }
                if let Some(name) = insert(&mut interfaces, name, drops) {
                    return Err(A::Error::custom(format_args!("the interface '{name}' is there twice")));
                }
            }
            Ok(interfaces)
        }
    }

    deserializer.deserialize_map(Interfaces).map(Some)
}

/// Reads what each rule named, in the order in which the rules are tried.
pub(super) fn evidence<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(&'static str, EvidenceCounts)>, D::Error> {
    struct Rules;

    impl<'de> Visitor<'de> for Rules {
        type Value = BTreeMap<Evidence, EvidenceCounts>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of rules")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut written: A) -> Result<Self::Value, A::Error> {
            let mut rules = BTreeMap::new();
            while let Some(name) = written.next_key::<String>()? {
                let known = Evidence::ALL.into_iter().find(|rule| rule.name() == name);
                let unknown = || A::Error::custom(format_args!("'{name}' is no rule that this version knows"));
                if insert(&mut rules, known.ok_or_else(unknown)?, written.next_value()?).is_some() {
                    return Err(A::Error::custom(format_args!("the rule '{name}' is there twice")));
                }
            }
            Ok(rules)
        }
    }

    let rules = deserializer.deserialize_map(Rules)?;
    Ok(rules.into_iter().map(|(rule, counts)| (rule.name(), counts)).collect())
}

/// Inserts what is new; gives back the key of what is there already.
fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Option<K> {
    if map.contains_key(&key) {
        return Some(key);
    }
    map.insert(key, value);
    None
}

fn too_many<E: Error>(max: usize) -> E {
    E::custom(format_args!("a list of more than {max}; no report has as many"))
}
