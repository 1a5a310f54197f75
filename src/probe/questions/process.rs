//! A process by its name.

use super::{Kind, Seen, exists, quote};
use crate::{probe::frames::Frame, suite::Check};

/// See the file.
pub(super) const KIND: Kind = Kind { shell: &[include_str!("process.sh")], ask, observe };

fn ask(check: &Check) -> String {
    // The kernel keeps 15 bytes of a process's name.
    let name: String = check.subject().chars().take(15).collect();
    format!("ask_process {}", quote(&name))
}

fn observe(_: &Check, _: &str, frame: &Frame) -> Seen {
    exists(frame, "this user may not see other users' processes")
}
