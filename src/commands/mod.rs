//! What the program can be told to do, one file each.

mod explain;
mod label;
mod lookup;
mod names;

pub use explain::{EXPLAIN_JSON_SCHEMA, explain};
pub use label::label;
pub use lookup::{LOOKUP_JSON_SCHEMA, lookup};
