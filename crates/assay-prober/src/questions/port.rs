//! A listening port, from /proc/net.

use super::{QuestionKind, SeenProperty, sockets};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("port.sh")], ask, observe: listening, slow: false };

fn ask(check: &Check) -> String {
    let (family, number) = port(check.subject());
    // goss takes every UDP socket of that port, a connected one too.
    let state = if family.starts_with("tcp") { "0A" } else { "[0-9A-F][0-9A-F]" };
    format!("ask_port {family} {number:04X} '{state}'")
}

/// The family and the number of `tcp6:22`; a number alone is of family tcp.
fn port(id: &str) -> (&str, u16) {
    let (family, number) = id.split_once(':').unwrap_or(("tcp", id));
    (family, number.parse().unwrap_or(0))
}

fn listening(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let (family, number) = port(check.subject());
    let addresses = match frame.word('x') {
        // grep's status where it finds nothing is 1.
        Some("1") => match frame.whole('o', &[0, 1]) {
            Ok(table) => sockets::listening(&table, family, number),
            Err(why) => return SeenProperty::unknown(format!("/proc/net/{family} cannot be read: {why}")),
        },
        Some("0") => Vec::new(),
        _ => return SeenProperty::unknown("the host does not show its sockets in /proc/net"),
    };
    match (property, addresses.is_empty()) {
        ("listening", empty) => SeenProperty::Value((!empty).into()),
        (_, true) => SeenProperty::Nothing("nothing listens there".into()),
        (_, false) => SeenProperty::Value(addresses.into()),
    }
}
