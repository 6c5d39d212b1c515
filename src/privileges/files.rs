//! Which files can still be opened: Landlock, of Linux 5.13 and newer.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope,
};

use super::Kept;

/// The newest version whose rights were tried here; older kernels get what they know of it.
const ABI_TRIED: ABI = ABI::V7;

/// Keeps only the right to open these files, and to connect to and listen at no port. Gives the version of Landlock;
/// `None` when the kernel has none.
///
/// # Errors
/// [`RulesetError`]: the kernel has Landlock and refuses.
pub(super) fn keep_only(kept: &Kept) -> Result<Option<u32>, RulesetError> {
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let writing = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    // a file is replaced by renaming one of the same folder, which needs no right to refer to another folder
    let replacing = writing | AccessFs::ReadDir | AccessFs::MakeReg | AccessFs::RemoveFile;

    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI_TRIED))?
        .handle_access(AccessNet::from_all(ABI_TRIED))?
        .scope(Scope::from_all(ABI_TRIED))?
        .create()?;
    let folders = kept.folders.iter().map(|path| (path, replacing));
    let written = kept.written.iter().map(|path| (path, writing));
    let read = kept.read.iter().map(|path| (path, reading));
    let mut rules = Vec::new();
    for (path, rights) in folders.chain(written).chain(read) {
        // what cannot be reached now will not be later, and whoever opens it then tells; a pipe without a name needs no
        // right and takes none
        let Ok(file) = PathFd::new(path) else { continue };
        let Ok(found) = path.metadata() else { continue };
        let rights: BitFlags<_> = if found.is_dir() { rights } else { rights & AccessFs::from_file(ABI_TRIED) };
        rules.push((file, rights));
    }
    let mut ruleset = ruleset;
    for (file, rights) in rules {
        ruleset = ruleset.add_rule(PathBeneath::new(file, rights))?;
    }
    Ok(match ruleset.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, .. } => Some((effective_abi as u32).min(ABI_TRIED as u32)),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
    })
}
