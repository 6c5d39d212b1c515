//! Giving up rights before anything is read that others wrote: `-Z`.
//!
//! A decoder of foreign bytes may have bugs. After [`Plan::apply`] such a bug runs as a user who owns nothing, without
//! capabilities, cannot open files but those of the run, opens no sockets, connects nowhere and starts no programs. Three
//! walls stand one behind the other, and each holds by itself: the user and the capabilities, Landlock for files
//! (`files`), and a filter of system calls (`syscalls`). What is refused is an error for who asked, and kills nobody: what
//! was forgotten here becomes a message.
//!
//! What is open stays open: devices, outputs, and files that are rewound.

mod files;
mod syscalls;

use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, User, getgrouplist, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::fs::{Access, access};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// Why rights cannot be given up. Nothing is read then.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("there is no user {0:?}")]
    UnknownUser(String),
    /// The users cannot be looked up.
    #[error("cannot look up user {name:?}: {source}")]
    LookUp {
        /// Who was asked for.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Only root becomes another user.
    #[error("only root can become user {0:?}: start it as root, or leave -Z out")]
    NotPermitted(String),
    /// A part would go on with all its rights: Landlock and the filter hold for one thread and those that it starts.
    #[error("rights are given up too late: there are {0} threads")]
    Threads(u32),
    /// A step failed.
    #[error("cannot give up rights: {step}: {source}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl PrivilegeError {
    fn step<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Step { step, source: source.into() }
    }
}

/// What is to be given up, and what is kept.
#[derive(Clone, Debug)]
pub struct Plan {
    user: User,
    groups: Vec<Gid>,
    kept: Kept,
}

/// The files that can still be opened.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Folders in which files are created, read, written, renamed and removed.
    folders: Vec<PathBuf>,
    /// Files, devices mostly, that are read and written.
    written: Vec<PathBuf>,
    /// Files and folders that are read.
    read: Vec<PathBuf>,
}

impl Plan {
    /// Everything but what a run as `user` takes that writes to `outputs`: the folders in which they are, for files that
    /// take their place. Standard output, `-`, is none. To be made before anything is opened: what is wrong with the user is
    /// told at once.
    ///
    /// # Errors
    /// [`PrivilegeError`]: the user is not there, or this process may not become that user.
    pub fn new<'p>(user: &str, outputs: impl IntoIterator<Item = &'p Path>) -> Result<Self, PrivilegeError> {
        let failed = |errno: nix::Error| PrivilegeError::LookUp { name: user.to_owned(), source: errno.into() };
        let name = CString::new(user).map_err(|_| PrivilegeError::UnknownUser(user.to_owned()))?;
        let user =
            User::from_name(user).map_err(failed)?.ok_or_else(|| PrivilegeError::UnknownUser(user.to_owned()))?;
        let groups = getgrouplist(&name, user.gid).map_err(failed)?;
        if !is_already(&user) && !may_change_user() {
            return Err(PrivilegeError::NotPermitted(user.name));
        }
        let mut kept = Kept::default();
        for path in outputs.into_iter().filter(|path| *path != Path::new("-")) {
            match folder(path) {
                Some(folder) => kept.folders.push(folder),
                None => kept.written.push(path.to_owned()),
            }
        }
        kept.folders.sort();
        kept.folders.dedup();
        Ok(Self { user, groups, kept })
    }

    /// Keeps the right to open these files and folders for reading, as far as the user has it.
    pub fn keep_reading<'p>(&mut self, paths: impl IntoIterator<Item = &'p Path>) {
        self.kept.read.extend(paths.into_iter().map(Path::to_owned));
    }

    /// Gives everything else up, for good. To be done when devices and outputs are open, and before any thread is started.
    ///
    /// # Errors
    /// [`PrivilegeError`]: a step failed, and the process may have given up a part only: it should end. That the kernel
    /// lacks Landlock, or this processor a filter, is none, and told by [`Applied`].
    pub fn apply(self) -> Result<Applied, PrivilegeError> {
        match threads()? {
            1 => {}
            threads => return Err(PrivilegeError::Threads(threads)),
        }
        let bounded = clear_bounding_set().map_err(PrivilegeError::step("clear the bounding set of capabilities"))?;
        self.become_user().map_err(PrivilegeError::step("change the user"))?;
        clear_capabilities().map_err(PrivilegeError::step("clear the capabilities"))?;
        set_no_new_privs(true).map_err(PrivilegeError::step("set no_new_privs"))?;
        // while files can still be looked at
        let is_refused = |folder: &&PathBuf| access(folder.as_path(), Access::WRITE_OK | Access::EXEC_OK).is_err();
        let unwritable = self.kept.folders.iter().filter(is_refused).cloned().collect();
        let landlock_abi = files::keep_only(&self.kept)
            .map_err(|error| PrivilegeError::Step { step: "Landlock", source: io::Error::other(error) })?;
        let filtered = syscalls::keep_only_ours()
            .map_err(|error| PrivilegeError::Step { step: "filter system calls", source: io::Error::other(error) })?;
        let Self { user, kept, .. } = self;
        Ok(Applied { user, kept, bounded, landlock_abi, filtered, unwritable })
    }

    /// Takes the user's groups, group and name, in this order: afterwards the right to do so is gone.
    fn become_user(&self) -> Result<(), nix::Error> {
        let User { uid, gid, .. } = self.user;
        if may_change_user() {
            setgroups(&self.groups)?;
        }
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)
    }
}

/// What was given up; its text is a line for `--verbose`.
#[derive(Clone, Debug)]
pub struct Applied {
    user: User,
    kept: Kept,
    /// The bounding set of capabilities is empty too.
    bounded: bool,
    /// `None` when the kernel has no Landlock.
    landlock_abi: Option<u32>,
    /// There is a filter of system calls.
    filtered: bool,
    unwritable: Vec<PathBuf>,
}

impl Applied {
    /// Folders of outputs in which the user can create no files, so that no output can be opened anew there.
    #[must_use]
    pub fn unwritable(&self) -> &[PathBuf] {
        &self.unwritable
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let User { name, uid, gid, .. } = &self.user;
        write!(f, "user {name} ({uid}:{gid}), no capabilities")?;
        if !self.bounded {
            f.write_str(" (the bounding set is as it was)")?;
        }
        f.write_str(", no_new_privs, ")?;
        match self.landlock_abi {
            Some(abi) => {
                write!(f, "Landlock ABI {abi}: writes only ")?;
                let folders = self.kept.folders.iter().map(|path| format!("in {}", path.display()));
                let files = self.kept.written.iter().map(|path| format!("to {}", path.display()));
                let places: Vec<_> = folders.chain(files).collect();
                f.write_str(if places.is_empty() { "what is open" } else { "" })?;
                f.write_str(&places.join(", "))?;
            }
            None => f.write_str("no Landlock in this kernel: files are guarded by their modes alone")?,
        }
        f.write_str("; seccomp: ")?;
        f.write_str(if self.filtered {
            "no sockets, no connections, no programs"
        } else {
            "not for this processor: sockets can be opened"
        })
    }
}

/// Where files that take the place of an output are created; `None` for a device or a pipe, which is opened as it is.
fn folder(output: &Path) -> Option<PathBuf> {
    if output.metadata().is_ok_and(|found| !found.is_file()) {
        return None;
    }
    // a link is followed: what it leads to is what is written
    let path = output.canonicalize().unwrap_or_else(|_| output.to_owned());
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    Some(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
}

/// The process has the user and the group for good: there is nothing else that it could go back to.
fn is_already(user: &User) -> bool {
    getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.uid; 3])
        && getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.gid; 3])
}

fn may_change_user() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// How many threads this process has.
fn threads() -> Result<u32, PrivilegeError> {
    let failed = PrivilegeError::step("count the threads in /proc/self/status");
    let status = std::fs::read_to_string("/proc/self/status");
    let count = status.and_then(|text| {
        let count =
            text.lines().find_map(|line| line.strip_prefix("Threads:")).and_then(|word| word.trim().parse().ok());
        count.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    });
    count.map_err(failed)
}

/// Clears what a program that is started could ever have. Whether it could: it takes a right that not every root has, and
/// is not needed where no program can be started with more rights (`no_new_privs`).
fn clear_bounding_set() -> rustix::io::Result<bool> {
    if !capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(false);
    }
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            Ok(()) => {}
            // the first one that this kernel does not know
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn clear_capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;
    use rustix::thread::no_new_privs;

    use super::*;

    #[test]
    fn a_user_that_is_not_there_is_told() {
        for name in ["no-such-user", "", "no\0body"] {
            let error = Plan::new(name, []).expect_err("nobody has it");
            assert_eq!(error.to_string(), format!("there is no user {name:?}"));
        }
    }

    #[test]
    fn too_late_with_threads() {
        // tests are run by threads
        let me = User::from_uid(Uid::current()).expect("users").expect("me");
        let plan = Plan::new(&me.name, []).expect("nothing to change");
        assert!(matches!(plan.apply(), Err(PrivilegeError::Threads(2..))));
        assert!(!no_new_privs().expect("known"), "nothing was given up");
    }

    #[test]
    fn outputs_have_folders_and_devices_do_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().canonicalize().expect("its path");
        std::fs::write(dir.join("file"), "").expect("room");
        let link = dir.with_extension("link");
        std::os::unix::fs::symlink(dir.join("file"), &link).expect("a link");
        assert_eq!(folder(&dir.join("file")), Some(dir.clone()));
        assert_eq!(folder(&dir.join("new")), Some(dir.clone()));
        assert_eq!(folder(&link), Some(dir));
        std::fs::remove_file(link).expect("it is ours");
        assert_eq!(folder(Path::new("new")), std::env::current_dir().ok());
        assert_eq!(folder(Path::new("/dev/null")), None);
    }
}
