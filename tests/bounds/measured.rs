//! Runs a program, and writes to a file how much memory it took at most: `measured FILE PROGRAM [ARGUMENT …]`.
//!
//! The system counts memory of whoever starts a program as that program's, up to when it begins. The tests are a large
//! process; this is a small one in between.

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use wait4::Wait4 as _;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(to), Some(program)) = (args.next(), args.next()) else {
        return Err("measured FILE PROGRAM [ARGUMENT …]".into());
    };
    // the program alone has the standard streams when it has started: nobody else keeps a pipe open
    let mut child = Command::new(program).args(args).spawn()?;
    let ended = child.wait4()?;
    fs::write(to, ended.rusage.maxrss.to_string())?;
    let code = ended.status.code().ok_or_else(|| format!("the program ended by {}", ended.status))?;
    Ok(ExitCode::from(u8::try_from(code)?))
}
