//! The only table of exit codes. It owns what a number means to a shell or a CI job, and refuses to decide which applies:
//! the doors do that from a typed result.

use std::process::ExitCode;

/// How an `assay` command ended, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// 0: passed, or done.
    Done = 0,
    /// 1: the command line or a configuration file is wrong; nothing was started.
    Usage = 1,
    /// 2: at least one check failed. Stays 2 when something was also left behind.
    Failed = 2,
    /// 3: no verdict: unreachable, throttled, no capacity, cancelled, credentials.
    Undecided = 3,
    /// 4: all else was done, but something that assay created could not be removed.
    Leftovers = 4,
    /// 5: a state or a git branch moved under us, or the move is not allowed.
    Conflict = 5,
    /// 6: there was nothing to do where something was asked for.
    Nothing = 6,
}

impl From<ExitStatus> for ExitCode {
    fn from(exit: ExitStatus) -> Self {
        ExitCode::from(exit as u8)
    }
}
