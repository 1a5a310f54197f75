//! A group of /etc/group.

use super::{Kind, Seen, accounts, quote};
use crate::frames::Frame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: Kind =
    Kind { shell: &[accounts::SHELL, include_str!("group.sh")], ask, observe: group, slow: false };

fn ask(check: &Check) -> String {
    format!("ask_group {}", quote(check.subject()))
}

fn group(check: &Check, property: &str, frame: &Frame) -> Seen {
    if frame.word('x') != Some("1") {
        return Seen::unknown("/etc/group cannot be read");
    }
    let gid = accounts::group(&frame.text('g').unwrap_or_default(), check.subject());
    match (property, gid) {
        ("exists", gid) => Seen::Value(gid.is_some().into()),
        (_, Some(gid)) => Seen::Value(gid.into()),
        (_, None) => Seen::Nothing("there is no such group in /etc/group".into()),
    }
}
