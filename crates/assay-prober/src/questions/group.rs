//! A group of /etc/group.

use super::{QuestionKind, SeenProperty, accounts, quote};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[accounts::SHELL, include_str!("group.sh")], ask, observe: group, slow: false };

fn ask(check: &Check) -> String {
    format!("ask_group {}", quote(check.subject()))
}

fn group(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    if frame.word('x') != Some("1") {
        return SeenProperty::unknown("/etc/group cannot be read");
    }
    let gid = accounts::group(&frame.text('g').unwrap_or_default(), check.subject());
    match (property, gid) {
        ("exists", gid) => SeenProperty::Value(gid.is_some().into()),
        (_, Some(gid)) => SeenProperty::Value(gid.into()),
        (_, None) => SeenProperty::Nothing("there is no such group in /etc/group".into()),
    }
}
