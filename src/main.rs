//! The command line program: read the arguments, do it, print what went wrong, and say so in the exit code.

use std::process::ExitCode;

use portlabel::cli::Command;
use portlabel::commands;

fn main() -> ExitCode {
    commands::outlive_full_files();
    match Command::from_command_line(std::env::args_os()) {
        Ok(Command::Label(config)) => commands::label(&config),
        Ok(Command::ListInterfaces) => commands::list_interfaces(),
        Ok(Command::Explain(explain)) => commands::explain(&explain),
        Ok(Command::Lookup(lookup)) => commands::lookup(&lookup),
        Ok(Command::Merge(merge)) => commands::merge(&merge),
        Ok(Command::Diff(diff)) => commands::diff(&diff),
        Ok(Command::Schema(document)) => commands::schema(document),
        Err(usage) => {
            // a closed standard output or standard error is no reason to panic
            let _ = usage.print();
            ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2))
        }
    }
}
