//! What the program can be told to do, one file each.

mod diff;
mod explain;
mod interfaces;
mod label;
mod lookup;
mod merge;
mod names;
mod reports;
mod schema;

use std::sync::Arc;

use signal_hook::consts::SIGXFSZ;
use signal_hook::flag;

pub use diff::{Compared, DIFF_JSON_SCHEMA, compare, diff};
pub use explain::{EXPLAIN_JSON_SCHEMA, explain};
pub use interfaces::list_interfaces;
pub use label::label;
pub use lookup::{LOOKUP_JSON_SCHEMA, lookup};
pub use merge::merge;
pub use schema::schema;

/// Writing beyond the limit of a file's size (`ulimit -f`) is an error from here on, as a full disk is: the signal that comes
/// with it would end the program, and nothing would be reported.
pub fn outlive_full_files() {
    // nothing is lost where that fails: the limit is rare
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// What was written to standard output is complete, as far as somebody reads it: `| head` has seen enough. Else it is said.
fn is_printed(written: std::io::Result<()>) -> bool {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            crate::run::say(&format_args!("standard output: {error}"));
            false
        }
        _ => true,
    }
}
