//! What the program can be told to do, one file each.

mod label;
mod lookup;
mod names;

pub use label::label;
pub use lookup::{LOOKUP_JSON_SCHEMA, lookup};
