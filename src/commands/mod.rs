//! What the program can be told to do, one file each.

mod label;

pub use label::label;
