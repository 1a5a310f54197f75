//! An account of /etc/passwd.

use serde_json::json;

use super::{Kind, Seen, accounts, quote, wants};
use crate::frames::Frame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: Kind =
    Kind { shell: &[accounts::SHELL, include_str!("user.sh")], ask, observe: user, slow: false };

fn ask(check: &Check) -> String {
    let groups = if wants(check, "groups") { "g" } else { "" };
    format!("ask_user {} '{groups}'", quote(check.subject()))
}

fn user(check: &Check, property: &str, frame: &Frame) -> Seen {
    if frame.word('x') != Some("1") {
        return Seen::unknown("/etc/passwd cannot be read");
    }
    let passwd = frame.text('p').unwrap_or_default();
    let account = accounts::account(&passwd, check.subject());
    if property == "exists" {
        return Seen::Value(account.is_some().into());
    }
    let Some(account) = account else {
        return Seen::Nothing("there is no such user in /etc/passwd".into());
    };
    match property {
        "uid" => Seen::Value(account.uid.into()),
        "gid" => Seen::Value(account.gid.into()),
        "home" => Seen::Value(account.home.into()),
        "shell" => Seen::Value(account.shell.into()),
        _ => match frame.text('g') {
            Some(groups) => Seen::Value(json!(accounts::groups_of(&groups, check.subject(), account.gid))),
            None => Seen::unknown("/etc/group cannot be read"),
        },
    }
}
