//! An account of /etc/passwd.

use serde_json::json;

use super::{Kind, Seen, exists, first_line, quote, wants};
use crate::{probe::frames::Frame, suite::Check};

/// See the file.
pub(super) const KIND: Kind = Kind { shell: &[include_str!("user.sh")], ask, observe: user, slow: false };

fn ask(check: &Check) -> String {
    let groups = if wants(check, "groups") { "g" } else { "" };
    format!("ask_user {} '{groups}'", quote(check.subject()))
}

/// A line of /etc/passwd (passwd(5)), and `id -Gn`.
fn user(_: &Check, property: &str, frame: &Frame) -> Seen {
    let there = exists(frame, "/etc/passwd cannot be read");
    if property == "exists" || matches!(there, Seen::Unknown(_)) {
        return there;
    }
    if there == Seen::Value(false.into()) {
        return Seen::Nothing("there is no such user in /etc/passwd".into());
    }
    if property == "groups" {
        return match (frame.word('s'), frame.text('g')) {
            (Some("0"), Some(groups)) => Seen::Value(json!(groups.split_whitespace().collect::<Vec<_>>())),
            (_, output) => Seen::unknown(format!("id said: {}", first_line(&output.unwrap_or_default()))),
        };
    }
    let line = frame.text('p').unwrap_or_default();
    let fields: Vec<&str> = line.split(':').collect();
    let [_, _, uid, gid, _, home, shell] = fields.as_slice() else {
        return Seen::unknown("the user's line in /etc/passwd does not have seven fields");
    };
    let number = |text: &str| match text.parse::<u32>() {
        Ok(number) => Seen::Value(number.into()),
        Err(_) => Seen::unknown("the user's line in /etc/passwd holds no number there"),
    };
    match property {
        "uid" => number(uid),
        "gid" => number(gid),
        "home" => Seen::Value((*home).into()),
        _ => Seen::Value((*shell).into()),
    }
}
