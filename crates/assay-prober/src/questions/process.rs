//! A process by its name.

use super::{QuestionKind, SeenProperty, exists, quote};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("process.sh")], ask, observe: process, slow: false };

/// The name as the kernel keeps it, 15 bytes; goss reads it from /proc/PID/stat up to the first `)`. A longer name is
/// no process's name, there and here.
fn ask(check: &Check) -> String {
    format!("ask_process {}", quote(check.subject()))
}

fn process(_: &Check, _: &str, frame: &AnswerFrame) -> SeenProperty {
    exists(
        frame,
        "this user may not see other users' processes, and sudo -n does not work (or the suite says sudo = false)",
    )
}
