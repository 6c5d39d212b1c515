//! The binary as a process.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use jsonschema::Validator;
use portlabel::commands::{DIFF_JSON_SCHEMA, EXPLAIN_JSON_SCHEMA, LOOKUP_JSON_SCHEMA};
use portlabel::output::{FLOW_JSON_SCHEMA, SNAPSHOT_JSON_SCHEMA};
use serde_json::Value;

use crate::cases::skipped;

/// Longer than anything here takes; a program that does not end by then never does.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output, as one JSON document.
    pub fn json(&self) -> Value {
        document(&self.stdout)
    }

    /// Standard output, as JSON documents, one a line.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(document).collect()
    }
}

/// A schema, ready to be held against documents.
pub fn validator(schema: &str) -> Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).expect("JSON")).expect("a schema")
}

/// What the program printed as one JSON document, held to the schema that it names.
pub fn document(text: &str) -> Value {
    static SCHEMAS: LazyLock<[(&str, Validator); 5]> = LazyLock::new(|| {
        let schemas = [
            ("portlabel.snapshot/1", SNAPSHOT_JSON_SCHEMA),
            ("portlabel.flow/1", FLOW_JSON_SCHEMA),
            ("portlabel.lookup/1", LOOKUP_JSON_SCHEMA),
            ("portlabel.explain/1", EXPLAIN_JSON_SCHEMA),
            ("portlabel.diff/1", DIFF_JSON_SCHEMA),
        ];
        schemas.map(|(name, schema)| (name, validator(schema)))
    });
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let named = SCHEMAS.iter().find(|(name, _)| value["schema"] == *name);
    let (name, schema) = named.unwrap_or_else(|| panic!("it names no schema of ours: {text}"));
    if let Err(error) = schema.validate(&value) {
        panic!("not as {name} at {}: {error}", error.instance_path());
    }
    value
}

/// A number of a report.
#[track_caller]
pub fn count(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {report:#}"))
}

/// The program, with nothing of the environment that changes what it prints.
pub fn portlabel() -> Command {
    at(env!("CARGO_BIN_EXE_portlabel"))
}

/// The program on the first processor alone, where it uses one thread.
pub fn portlabel_on_one_processor() -> Command {
    let mut command = at("taskset");
    command.args(["-c", "0", env!("CARGO_BIN_EXE_portlabel")]);
    command
}

/// Another program that starts it, with the same environment.
pub fn at(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("NO_COLOR").env_remove("COLUMNS").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    end_of(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

/// Runs the program with arguments.
pub fn run(args: &[&str]) -> Ran {
    ran(portlabel().args(args))
}

/// Runs the program with arguments, and `input` on its standard input, written in pieces of `piece_len` bytes.
pub fn run_with_input(args: &[&str], input: &[u8], piece_len: usize) -> Ran {
    let mut command = portlabel();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    thread::scope(|scope| {
        scope.spawn(move || {
            // it may have seen enough before the end
            let _ = input.chunks(piece_len).try_for_each(|piece| stdin.write_all(piece));
        });
        end_of(child)
    })
}

/// Runs the program with arguments on a terminal of its own, which script(1) makes: what is printed there, whether on
/// standard output or standard error, is standard output here. `None`, and a word, where there is no such tool.
pub fn on_terminal(args: &[&str]) -> Option<Ran> {
    on_terminal_with(args, &[])
}

/// The same with variables in the environment.
pub fn on_terminal_with(args: &[&str], variables: &[(&str, &str)]) -> Option<Ran> {
    if !has("script", "there is no terminal to print on") {
        return None;
    }
    let quoted = |arg: &&str| format!("'{}'", arg.replace('\'', r"'\''"));
    let line: Vec<_> = [&[env!("CARGO_BIN_EXE_portlabel")], args].concat().iter().map(quoted).collect();
    let mut command = at("script");
    command
        .args(["-qec", &line.join(" "), "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("COLUMNS", "200")
        .env("TERM", "xterm");
    Some(ran(command.envs(variables.iter().copied())))
}

/// Waits for a child's end and takes what it wrote to the pipes that are left.
pub fn end_of(mut child: Child) -> Ran {
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            let outcome = pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut text));
            // whoever gave up waiting needs no answer
            drop(sender.send(outcome.map(|_| String::from_utf8_lossy(&text).into_owned())));
        });
        receiver
    };
    let stdout = read(child.stdout.take().map(|pipe| Box::new(pipe) as Box<_>));
    let stderr = read(child.stderr.take().map(|pipe| Box::new(pipe) as Box<_>));
    let texts = [stdout, stderr].map(|receiver| receiver.recv_timeout(PATIENCE));
    let [Ok(Ok(stdout)), Ok(Ok(stderr))] = texts else {
        child.kill().expect("it is ours");
        panic!("it does not end: {texts:?}");
    };
    Ran { code: exit_of(child).code(), stdout, stderr }
}

/// Waits for the end of a child whose pipes are closed.
fn exit_of(mut child: Child) -> ExitStatus {
    let (sender, receiver) = mpsc::channel();
    let id = child.id();
    thread::spawn(move || drop(sender.send(child.wait())));
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("process {id} does not end")).expect("its status")
}

/// Whether a tool is there; a word when it is not.
pub fn has(tool: &str, without_it: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        skipped(&format!("there is no {tool}: {without_it}"));
    }
    found
}
