//! An account of /etc/passwd.

use serde_json::json;

use super::{QuestionKind, SeenProperty, accounts, quote, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[accounts::SHELL, include_str!("user.sh")], ask, observe: user, slow: false };

fn ask(check: &Check) -> String {
    let groups = if wants(check, "groups") { "g" } else { "" };
    format!("ask_user {} '{groups}'", quote(check.subject()))
}

fn user(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    if frame.word('x') != Some("1") {
        return SeenProperty::unknown("/etc/passwd cannot be read");
    }
    let passwd = frame.text('p').unwrap_or_default();
    let account = accounts::account(&passwd, check.subject());
    if property == "exists" {
        return SeenProperty::Value(account.is_some().into());
    }
    let Some(account) = account else {
        return SeenProperty::Nothing("there is no such user in /etc/passwd".into());
    };
    match property {
        "uid" => SeenProperty::Value(account.uid.into()),
        "gid" => SeenProperty::Value(account.gid.into()),
        "home" => SeenProperty::Value(account.home.into()),
        "shell" => SeenProperty::Value(account.shell.into()),
        _ => match frame.text('g') {
            Some(groups) => SeenProperty::Value(json!(accounts::groups_of(&groups, check.subject(), account.gid))),
            None => SeenProperty::unknown("/etc/group cannot be read"),
        },
    }
}
