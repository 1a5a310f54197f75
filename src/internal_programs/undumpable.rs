//! A process that holds credentials, kept from other processes of the same user. It owns that one flag of the process; children that are started by
//! running a program get their own.

/// Makes this process undumpable: no core dump, and memory, environment and descriptors are closed to other processes without CAP_SYS_PTRACE
/// (prctl(2), PR_SET_DUMPABLE). It still reads its own `/proc/self`. Where the system refuses, that is logged: it is no reason not to work.
pub(crate) fn hide_this_process() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this user can read this one's memory");
    }
}
