//! What a server can still do that has given up its rights.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use super::{Server, Stream};
use crate::cases::Case;
use crate::netns::Wire;
use crate::privileges::is_root;
use crate::program::portlabel;
use crate::running::Running;

/// A line of what the kernel says of a process.
fn status(program: &Running, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {name}: {status}")).to_owned()
}

/// How nice the thread that serves is (proc(5): `stat`, field 19).
fn niceness(program: &Running) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).expect("it runs").filter_map(Result::ok);
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let web = stats.into_iter().find(|stat| stat.contains(" (web) ")).expect("a thread of that name");
    // the first fields are the number, and the name in brackets
    web.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(16)?.parse().ok()).expect("a number")
}

#[test]
fn root_becomes_nobody_unless_told_otherwise() {
    let Some(wire) = Wire::new() else { return };
    let nobody = "65534\t65534\t65534\t65534";
    for (args, uid, filtered) in [
        (&[][..], nobody, "2"),
        (&["-Z", "nobody"], nobody, "2"),
        (&["-Z", "root"], "0\t0\t0\t0", "0"),
        (&["-Z", "daemon"], "1\t1\t1\t1", "2"),
    ] {
        let mut command = wire.client.command(env!("CARGO_BIN_EXE_portlabel"));
        command.args(["-i", "eth0", "--listen", "127.0.0.1:80", "-o", "json", "-v", "--interval", "100ms"]).args(args);
        let mut server = Server::start(&mut command);
        server.program.await_thread("capture");
        let seen = (status(&server.program, "Uid"), status(&server.program, "Seccomp"));
        assert_eq!(seen, (uid.to_owned(), filtered.to_owned()), "{args:?}");
        assert_eq!(server.program.stderr().contains("seccomp: no sockets"), filtered == "2", "{args:?}");
        // it serves all the same
        let mut stream = wire.client.inside(|| Stream::open(server.connect(), ""));
        let events: Vec<_> = (0..3).filter_map(|_| stream.event()).collect();
        assert_eq!(events.len(), 3);
        let metrics = wire.client.inside(|| server.get("/metrics"));
        assert_eq!(metrics.status, 200, "{args:?}");
        // and makes way for the threads that capture and count
        assert_eq!(niceness(&server.program), 10, "{args:?}");
        assert_eq!(server.program.interrupt().code, Some(0));
    }
}

#[test]
fn a_token_of_root_is_read_before_the_rights_are_gone() {
    if !is_root("no token is root's") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // nobody else may enter it
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef").expect("room");
    assert_eq!(fs::metadata(&token).expect("it is there").uid(), 0);
    let mut command = portlabel();
    command.args(["--listen", "127.0.0.1:0", "-o", "json"]).arg("--listen-token").arg(&token);
    let server = Server::start(command.arg("-"));
    assert_eq!(status(&server.program, "Uid"), "65534\t65534\t65534\t65534");
    assert_eq!(server.get("/").status, 401);
    let reply = server.ask("GET", "/", "Host: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n");
    assert_eq!(reply.status, 200);
}

#[test]
fn what_nobody_may_not_read_is_told_with_what_to_do() {
    if !is_root("nothing is refused to nobody") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let captures = ["office", "dns"].map(|name| {
        let path = folder.path().join(name);
        fs::write(&path, Case::named(name).bytes()).expect("room");
        path
    });
    let run = |args: &[&str], captures: &[PathBuf]| {
        let mut command = portlabel();
        command.args(["--listen", "127.0.0.1:0", "-o", "json"]).args(args).args(captures);
        Running::start(&mut command)
    };
    let refused = run(&[], &captures).end();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("ermission denied"), "{refused:?}");
    assert!(refused.stderr.contains("captures are read as user nobody: -Z names another one"), "{refused:?}");
    for mut program in [run(&["-Z", "root"], &captures), run(&[], &captures[..1])] {
        program.await_state("has read it", |program| program.stdout().ends_with("\n}\n").then_some(()));
        let ended = program.interrupt();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(0), 1), "{ended:?}");
    }
}
