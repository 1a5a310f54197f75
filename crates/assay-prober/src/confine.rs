//! The prober's confinement, before its first byte from outside. It owns what the process gives up: environment, root,
//! files, new programs, memory dumps, size. What this system cannot take away is returned as sentences, for the
//! report.
//!
//! On Linux the credentials of a process belong to each thread, and so do landlock and seccomp: all of this must be
//! done while there is only one thread.

/// Memory of the whole prober. The address space is more than what is used: glibc reserves 64 MiB of it per arena.
#[cfg(target_os = "linux")]
const ADDRESS_SPACE: u64 = 2 << 30;
/// Open files: one or two sockets per target.
#[cfg(target_os = "linux")]
const OPEN_FILES: u64 = 4096;
/// The user and group `nobody`, in Debian's and the kernel's numbering.
#[cfg(target_os = "linux")]
const NOBODY: u32 = 65534;

/// Why the prober may not start at all.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// It was given an environment, which may hold credentials.
    #[error("the environment is not empty ({0} variables); assay starts its prober itself, with none")]
    Environment(usize),
    /// Another thread exists, which would stay unconfined.
    #[error("{0} threads exist already; confinement reaches only one")]
    Threads(usize),
}

/// Confines this process for good. Returns a sentence for each means that this system does not have. Must be called
/// before a second thread exists.
pub fn confine() -> Result<Vec<String>, ConfineError> {
    let variables = std::env::vars_os().count();
    if variables > 0 {
        return Err(ConfineError::Environment(variables));
    }
    #[cfg(target_os = "linux")]
    return linux::confine();
    #[cfg(not(target_os = "linux"))]
    return Ok(vec!["this system has neither landlock nor seccomp: the prober can read this user's files".to_owned()]);
}

#[cfg(target_os = "linux")]
pub(super) use linux::leave_root;

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::BTreeMap, fmt::Display};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
    };
    use rustix::{
        process::{DumpableBehavior, Resource, Rlimit},
        thread::{Gid, Uid},
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    use super::{ADDRESS_SPACE, ConfineError, NOBODY, OPEN_FILES};

    pub(super) fn confine() -> Result<Vec<String>, ConfineError> {
        let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
        if threads > 1 {
            return Err(ConfineError::Threads(threads));
        }
        let mut missing = Vec::new();
        let mut try_to = |what: &str, done: Result<(), String>| {
            if let Err(why) = done {
                missing.push(format!("{what}: {why}"));
            }
        };
        try_to("the prober still runs as root", leave_root());
        try_to("privileges can be gained by running programs", text(rustix::thread::set_no_new_privs(true)));
        try_to(
            "other processes of the same user can look into the prober",
            text(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        );
        try_to("the prober's size is not limited", limits());
        try_to("the prober can open files", landlock_files());
        landlock_more();
        try_to("system calls are not filtered", seccomp());
        Ok(missing)
    }

    pub(crate) fn leave_root() -> Result<(), String> {
        if !rustix::process::getuid().is_root() && !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        text(rustix::thread::set_thread_groups(&[]))?;
        text(rustix::thread::set_thread_res_gid(gid, gid, gid))?;
        text(rustix::thread::set_thread_res_uid(uid, uid, uid))
    }

    fn limits() -> Result<(), String> {
        for (resource, limit) in
            [(Resource::As, ADDRESS_SPACE), (Resource::Nofile, OPEN_FILES), (Resource::Core, 0), (Resource::Fsize, 0)]
        {
            let hard = rustix::process::getrlimit(resource).maximum.map_or(limit, |hard| hard.min(limit));
            text(rustix::process::setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) }))?;
        }
        Ok(())
    }

    /// No path may be opened, made or changed any more. Files that are open stay open.
    fn landlock_files() -> Result<(), String> {
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V5))
            .and_then(Ruleset::create)
            .and_then(|ruleset| ruleset.restrict_self())
            .map_err(|e| e.to_string())?;
        match status.ruleset {
            // Partly: this kernel knows fewer kinds of access than are named, but reading and writing are among all of
            // them.
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
            RulesetStatus::NotEnforced => Err("this kernel has no landlock".into()),
        }
    }

    /// Where the kernel knows how: no listening on TCP ports, no abstract sockets and no signals to the outside. Older
    /// kernels are not told about: the files are what matters.
    fn landlock_more() {
        let _ = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessNet::BindTcp)
            .and_then(|ruleset| ruleset.scope(Scope::from_all(ABI::V6)))
            .and_then(Ruleset::create)
            .and_then(|ruleset| ruleset.restrict_self());
    }

    /// A list of what is refused, not of what is allowed: the libraries' needs change with each release, the dangers
    /// do not.
    fn seccomp() -> Result<(), String> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
        let rules: BTreeMap<i64, Vec<_>> = refused().into_iter().map(|call| (call, Vec::new())).collect();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(13), arch);
        let program: BpfProgram = filter.and_then(BpfProgram::try_from).map_err(|e| e.to_string())?;
        seccompiler::apply_filter(&program).map_err(|e| e.to_string())
    }

    /// Programs, other processes, files by path (for kernels without landlock), kernel keys, mounts, namespaces, and
    /// the large kernel interfaces that exploits begin with. EACCES (13) is what they get.
    fn refused() -> Vec<i64> {
        let mut calls = vec![
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_kcmp,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_open_by_handle_at,
            libc::SYS_name_to_handle_at,
            libc::SYS_unlinkat,
            libc::SYS_mkdirat,
            libc::SYS_mknodat,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_fchmodat,
            libc::SYS_fchownat,
            libc::SYS_truncate,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_keyctl,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_kexec_load,
            libc::SYS_reboot,
            libc::SYS_swapon,
            libc::SYS_memfd_create,
        ];
        #[cfg(target_arch = "x86_64")]
        calls.extend([
            libc::SYS_open,
            libc::SYS_creat,
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_unlink,
            libc::SYS_rename,
        ]);
        calls
    }

    fn text<E: Display>(done: Result<(), E>) -> Result<(), String> {
        done.map_err(|e| e.to_string())
    }
}
