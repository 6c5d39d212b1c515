//! Which system calls a run still makes: a filter (seccomp) refuses the others with EPERM.
//!
//! The list says what is allowed, so that what a later kernel brings is refused. It is that of a run with every output: to
//! read and write what is open, to open files (which of them, Landlock says), to wait, to have threads and memory, and to
//! serve connections that others open.

use seccompiler::Error;

/// Keeps only what a run needs. `false` where there is no filter for the processor.
///
/// # Errors
/// [`Error`]: the kernel refuses.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub(super) fn keep_only_ours() -> Result<bool, Error> {
    // two, as a filter has one answer: of both the stricter counts, and any error is stricter than a permission
    seccompiler::apply_filter(&ours::absent()?)?;
    seccompiler::apply_filter(&ours::allowed()?)?;
    Ok(true)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(super) fn keep_only_ours() -> Result<bool, Error> {
    Ok(false)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod ours {
    use std::collections::BTreeMap;
    use std::env::consts::ARCH;

    use libc::c_long;
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    /// Allowed whatever the arguments are.
    #[rustfmt::skip]
    const ALWAYS: &[c_long] = &[
        // descriptors
        libc::SYS_read, libc::SYS_readv, libc::SYS_pread64, libc::SYS_preadv, libc::SYS_write, libc::SYS_writev,
        libc::SYS_pwrite64, libc::SYS_pwritev, libc::SYS_lseek, libc::SYS_close, libc::SYS_dup, libc::SYS_dup3,
        libc::SYS_fcntl, libc::SYS_flock, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_ftruncate,
        libc::SYS_fallocate, libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_sendfile, libc::SYS_splice,
        libc::SYS_copy_file_range, libc::SYS_pipe2, libc::SYS_eventfd2, libc::SYS_memfd_create,
        // files, as far as Landlock lets them
        libc::SYS_openat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs,
        libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_renameat2,
        libc::SYS_unlinkat, libc::SYS_getcwd, libc::SYS_umask,
        // waiting
        libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2, libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime,
        libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_clock_gettime, libc::SYS_clock_getres,
        libc::SYS_gettimeofday, libc::SYS_restart_syscall,
        // threads and signals
        libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_membarrier, libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity, libc::SYS_getcpu, libc::SYS_gettid, libc::SYS_exit, libc::SYS_exit_group,
        libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigtimedwait,
        libc::SYS_rt_sigpending, libc::SYS_rt_sigsuspend, libc::SYS_sigaltstack, libc::SYS_signalfd4,
        // refused by `absent` in a way that the C library understands
        libc::SYS_clone3,
        // memory
        libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
        // who and where one is
        libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid,
        libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_getrandom,
        // sockets that are there, and connections to them
        libc::SYS_accept, libc::SYS_accept4, libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_getsockopt,
        libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_shutdown,
    ];

    /// Older forms of them that this processor has too.
    #[cfg(target_arch = "x86_64")]
    #[rustfmt::skip]
    const OLDER: &[c_long] = &[
        libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_rename,
        libc::SYS_renameat, libc::SYS_unlink, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_select,
        libc::SYS_epoll_wait, libc::SYS_time, libc::SYS_getrlimit,
    ];
    #[cfg(target_arch = "aarch64")]
    const OLDER: &[c_long] = &[libc::SYS_renameat, libc::SYS_getrlimit];
    #[cfg(target_arch = "riscv64")]
    const OLDER: &[c_long] = &[libc::SYS_getrlimit];

    /// What is asked of terminals, of descriptors, and of packet sockets: libpcap looks at the interface when it went down.
    /// Not to type into the terminal (TIOCSTI).
    const IOCTLS: [libc::Ioctl; 13] = [
        libc::TCGETS,
        libc::TCSETS,
        libc::TCSETSW,
        libc::TCSETSF,
        libc::TIOCGWINSZ,
        libc::FIONBIO,
        libc::FIONREAD,
        libc::FIOCLEX,
        libc::SIOCGIFFLAGS,
        libc::SIOCGIFINDEX,
        libc::SIOCGIFNAME,
        libc::SIOCGIFHWADDR,
        libc::SIOCGIFMTU,
    ];

    /// What is asked of sockets: to refuse packets at the end of a run, and of connections not to wait for more to send. Not to
    /// make another interface promiscuous.
    const SOCKET_OPTIONS: [(libc::c_int, libc::c_int); 3] = [
        (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
        (libc::SOL_SOCKET, libc::SO_DETACH_FILTER),
        (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    ];

    /// What a thread is asked about itself: its name, and names of memory.
    const PRCTLS: [libc::c_int; 3] = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA];

    /// `PRIO_PROCESS`, whose type differs between C libraries.
    const PRIO_PROCESS: libc::c_int = 0;

    /// What starts a thread has these, and of the others none: no processes, no namespaces.
    const THREAD: libc::c_int = libc::CLONE_VM | libc::CLONE_THREAD;
    const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;

    /// What this system does not have: whoever asks for `clone3`, whose flags a filter cannot see, asks for `clone` then.
    pub(super) fn absent() -> Result<BpfProgram, BackendError> {
        let rules = BTreeMap::from([(libc::SYS_clone3, vec![])]);
        let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, absent, ARCH.try_into()?)?.try_into()
    }

    pub(super) fn allowed() -> Result<BpfProgram, BackendError> {
        use SeccompCmpArgLen::{Dword, Qword};
        use SeccompCmpOp::{Eq, MaskedEq};
        let own_process = u64::from(std::process::id());
        let mut rules: BTreeMap<_, _> = ALWAYS.iter().chain(OLDER).map(|call| (*call, vec![])).collect();
        // sockets between two ends of this process
        rules.insert(libc::SYS_socketpair, vec![when(0, Dword, Eq, bits(libc::AF_UNIX))?]);
        // without an address, to where the socket is connected
        rules.insert(libc::SYS_sendto, vec![when(4, Qword, Eq, 0)?]);
        rules.insert(libc::SYS_clone, vec![when(0, Qword, MaskedEq(bits(THREAD | NAMESPACES)), bits(THREAD))?]);
        // memory that is no code
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            rules.insert(call, vec![when(2, Dword, MaskedEq(bits(libc::PROT_EXEC)), 0)?]);
        }
        // signals and limits of this process
        for call in [libc::SYS_kill, libc::SYS_tgkill] {
            rules.insert(call, vec![when(0, Dword, Eq, own_process)?]);
        }
        // a thread makes way for others, and cannot undo it
        let own_thread = when_both((0, Dword, Eq, bits(PRIO_PROCESS)), (1, Dword, Eq, 0))?;
        rules.insert(libc::SYS_setpriority, vec![own_thread]);
        rules.insert(libc::SYS_prlimit64, vec![when(0, Dword, Eq, 0)?, when(0, Dword, Eq, own_process)?]);
        #[allow(clippy::unnecessary_cast, reason = "C libraries differ in the type")]
        let requests = IOCTLS.iter().map(|request| when(1, Dword, Eq, *request as u64));
        rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
        let options = SOCKET_OPTIONS
            .iter()
            .map(|(level, name)| when_both((1, Dword, Eq, bits(*level)), (2, Dword, Eq, bits(*name))));
        rules.insert(libc::SYS_setsockopt, options.collect::<Result<_, _>>()?);
        let options = PRCTLS.iter().map(|option| when(0, Dword, Eq, bits(*option)));
        rules.insert(libc::SYS_prctl, options.collect::<Result<_, _>>()?);

        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        SeccompFilter::new(rules, refused, SeccompAction::Allow, ARCH.try_into()?)?.try_into()
    }

    /// The bits of a C `int`, none of which is a sign.
    fn bits(value: libc::c_int) -> u64 {
        u64::from(value.cast_unsigned())
    }

    /// A condition: which argument, how much of it, and how it compares with what.
    type Condition = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

    fn when_both(one: Condition, other: Condition) -> Result<SeccompRule, BackendError> {
        let condition = |(arg, len, op, value)| SeccompCondition::new(arg, len, op, value);
        SeccompRule::new(vec![condition(one)?, condition(other)?])
    }

    fn when(arg: u8, len: SeccompCmpArgLen, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(arg, len, op, value)?])
    }
}
