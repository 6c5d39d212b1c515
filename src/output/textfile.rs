//! `-o prometheus`: the metrics in a file, for node_exporter's textfile collector, or on standard output.
//!
//! The file is replaced as a whole at each snapshot: whoever reads it sees one snapshot or the next, and never a half.
//! Standard output gets the final snapshot alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::geteuid;
use tempfile::NamedTempFile;

use super::metrics::{Exposition, Metrics};
use super::place::{folder_of, followed};
use super::sink::Sink;
use super::{Destination, Output, OutputError, printable_path};
use crate::snapshot::Snapshot;

/// `-o prometheus`.
#[derive(Debug)]
pub(super) struct Textfile {
    metrics: Metrics,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout(Sink),
    File(PathBuf),
}

/// Opens `-o prometheus`, with series of their own for at most `max_services` services.
///
/// # Errors
/// [`OutputError`]: the path leads to something that is no file, or nothing can be created beside it.
pub(super) fn open(destination: &Destination, max_services: usize) -> Result<Textfile, OutputError> {
    let target = match destination {
        Destination::Stdout => Target::Stdout(Sink::replace(destination)?),
        Destination::Path(path) => {
            if let Some(what) = no_file(path) {
                return Err(OutputError::NotReplaceable { path: path.clone(), what });
            }
            // a link is followed: what it leads to is what is replaced
            let path = followed(path);
            temporary(&path).map_err(|source| OutputError::Beside { path: path.clone(), source })?;
            Target::File(path)
        }
    };
    Ok(Textfile { metrics: Metrics::new(max_services), target })
}

impl Output for Textfile {
    /// Files are created as whoever the run has become, who may not have the right to.
    fn start(&mut self) -> io::Result<()> {
        let Target::File(path) = &self.target else { return Ok(()) };
        let Err(error) = temporary(path) else { return Ok(()) };
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(named(path, &error));
        }
        let (user, path) = (geteuid(), printable_path(path));
        let advice = "let that user write to the folder, or choose another one with -Z";
        let text = format!("{path}: user {user} may create no file beside it, to take its place: {error}; {advice}");
        Err(io::Error::new(error.kind(), text))
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        self.metrics.update(snapshot);
        match &mut self.target {
            Target::Stdout(sink) if snapshot.is_final => {
                sink.write_all(self.metrics.encode(Exposition::Prometheus).as_bytes())
            }
            Target::Stdout(_) => Ok(()),
            Target::File(path) => {
                replace(path, &self.metrics.encode(Exposition::Prometheus)).map_err(|error| named(path, &error))
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(sink) => sink.flush(),
            Target::File(_) => Ok(()),
        }
    }
}

/// What a path leads to that is no regular file, and is not to become one.
fn no_file(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => None,
        Ok(found) if found.is_dir() => Some("a folder"),
        Ok(_) => Some("a device or a pipe"),
        Err(_) => path.as_os_str().as_bytes().ends_with(b"/").then_some("a folder"),
    }
}

/// Puts a file with this text in the place of another.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut file = temporary(path)?;
    // its own errors have no path in them, where those of the crate have that of the file nobody has asked for
    file.as_file_mut().write_all(text.as_bytes())?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// A new file beside another, with a name that no collector takes and no other run has, and with the mode of any output.
/// It goes when it is dropped.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let create = |path: &Path| -> io::Result<File> {
        // the umask is taken away from the mode
        OpenOptions::new().write(true).create_new(true).mode(0o666).open(path)
    };
    tempfile::Builder::new().prefix(".portlabel-").suffix(".tmp").make_in(folder_of(path), create)
}

/// The error with the file before it, and of the same kind.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: cannot replace it: {error}", printable_path(path)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::sample;
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn opened(path: &Path) -> Result<Textfile, String> {
        open(&Destination::Path(path.to_owned()), 200).map_err(|error| error.to_string())
    }

    /// A snapshot before the last.
    fn earlier() -> Arc<Snapshot> {
        Arc::new(Snapshot { is_final: false, packets: 7, ..sample::snapshot() })
    }

    #[test]
    fn each_snapshot_takes_the_place_of_the_one_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("portlabel.prom");
        // what a run that was killed left behind
        fs::write(dir.path().join(".portlabel-abcdef.tmp"), "half a li").expect("room");
        let mut output = opened(&path).expect("opens");
        assert_eq!(names(dir.path()), [".portlabel-abcdef.tmp"], "nothing to say yet");
        output.start().expect("it can be replaced");
        output.snapshot(&earlier()).expect("room");
        let first = fs::File::open(&path).expect("is there");
        output.snapshot(&Arc::new(sample::snapshot())).expect("room");
        output.finish().expect("room");
        assert!(io::read_to_string(first).expect("text").contains("\nportlabel_read_packets_total 7\n"));
        assert!(fs::read_to_string(&path).expect("text").contains("\nportlabel_read_packets_total 12754\n"));
        assert_eq!(names(dir.path()), [".portlabel-abcdef.tmp", "portlabel.prom"]);
        let beside = dir.path().join("other");
        fs::write(&beside, "").expect("room");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode();
        assert_eq!(mode(&path), mode(&beside), "as the umask has it");
    }

    #[test]
    fn a_link_stays_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let (behind, link) = (dir.path().join("behind"), dir.path().join("link.prom"));
        fs::write(&behind, "before").expect("room");
        symlink(&behind, &link).expect("room");
        opened(&link).expect("opens").snapshot(&earlier()).expect("room");
        assert!(fs::symlink_metadata(&link).expect("is there").is_symlink());
        assert!(fs::read_to_string(&behind).expect("text").starts_with("# HELP "));
    }

    #[test]
    fn a_link_to_nothing_stays_one_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let (first, second) = (dir.path().join("first.prom"), dir.path().join("second.prom"));
        symlink("second.prom", &first).expect("room");
        symlink(dir.path().join("behind"), &second).expect("room");
        opened(&first).expect("opens").snapshot(&earlier()).expect("room");
        assert_eq!(names(dir.path()), ["behind", "first.prom", "second.prom"]);
        assert!(fs::symlink_metadata(&first).expect("is there").is_symlink());
        assert!(fs::read_to_string(dir.path().join("behind")).expect("text").starts_with("# HELP "));
    }

    #[test]
    fn what_is_no_file_is_told_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = opened(dir.path()).expect_err("a folder");
        assert_eq!(
            folder,
            format!(
                "{}: is a folder; the metrics take the place of a file at each snapshot, so name a file",
                dir.path().display()
            )
        );
        let device = opened(Path::new("/dev/null")).expect_err("a device");
        assert!(device.starts_with("/dev/null: is a device or a pipe; "), "{device}");
        let nowhere = opened(Path::new("/nowhere/x")).expect_err("no folder");
        let want =
            "/nowhere/x: cannot create a file beside it, to take its place at each snapshot: No such file or directory";
        assert!(nowhere.starts_with(want), "{nowhere}");
    }

    #[test]
    fn a_folder_that_goes_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.prom");
        let mut output = opened(&path).expect("opens");
        drop(dir);
        for error in [output.start().expect_err("gone"), output.snapshot(&earlier()).expect_err("gone")] {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            let want = format!("{}: cannot replace it: No such file or directory (os error 2)", path.display());
            assert_eq!(error.to_string(), want);
        }
    }
}
