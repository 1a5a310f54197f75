//! Doors that stand open: passwords, accounts like root, rules that make root of anybody.

use super::{HygieneFacts, HygieneFinding};

/// `shadow empty`: user, file.
pub(super) fn empty_passwords(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let lines = facts.answer.section("shadow").of_kind("empty");
    lines
        .iter()
        .map(|[user, file]| HygieneFinding::new(&[user], format!("{user} has an empty password in {file}")))
        .collect()
}

/// `shadow hash`: user, kind of hash; `shadow sshd`: what sshd says of passwords.
pub(super) fn password_logins(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let section = facts.answer.section("shadow");
    let sshd = section.of_kind("sshd").first().copied();
    let mut found = Vec::new();
    for [user, kind] in section.of_kind("hash") {
        let text = format!("{user} has a password ({}){}", hash(kind), through_sshd(sshd, user));
        found.push(HygieneFinding::new(&[user], text));
    }
    found
}

/// `sshd`: whether it takes passwords, whether it asks otherwise (by PAM), and what it lets root do.
fn through_sshd(sshd: Option<[&str; 3]>, user: &str) -> &'static str {
    match sshd {
        Some([_, _, root]) if user == "root" && root != "yes" && !root.is_empty() => ", and sshd does not take it",
        Some(["yes", _, _] | [_, "yes", _]) => ", and sshd takes it",
        Some(["no", "no", _]) => ", and sshd does not take it",
        _ => "",
    }
}

/// The kinds of hash by crypt(5)'s prefixes.
fn hash(kind: &str) -> &'static str {
    match kind {
        "1" => "MD5",
        "2" | "2a" | "2b" | "2x" | "2y" => "bcrypt",
        "5" => "SHA-256",
        "6" => "SHA-512",
        "7" => "scrypt",
        "y" => "yescrypt",
        "gy" => "gost-yescrypt",
        "des" => "DES",
        "bsdi" => "BSDi DES",
        _ => "of another kind",
    }
}

/// `shadow uid0`: user.
pub(super) fn uid0(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let lines = facts.answer.section("shadow").of_kind("uid0");
    lines.iter().map(|[user]| HygieneFinding::new(&[user], format!("{user} has uid 0, like root"))).collect()
}

/// Files of rules that stock images bring: cloud-init writes the first at the first boot, the second is Fedora CoreOS's and Red Hat CoreOS's.
const STOCK_RULES: &[&str] = &["/90-cloud-init-users", "/coreos-sudo-group"];

/// `sudo rule`: line, path, text; `sudo same`: the names of the user who logged in. The login user's rule is what
/// cloud images are made to have, and 90-cloud-init-users is written by cloud-init at the first boot.
pub(super) fn sudoers(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let section = facts.answer.section("sudo");
    let login: Vec<[&str; 1]> = section.of_kind("same");
    let mut found = Vec::new();
    for [number, path, text] in section.of_kind("rule") {
        let rule = text.trim();
        let who = rule.split_whitespace().next().unwrap_or_default();
        let ours = login.contains(&[who]) || STOCK_RULES.iter().any(|stock| path.ends_with(stock));
        if rule.starts_with('#') || ours {
            continue;
        }
        let text = format!("{path} line {number}: {who} needs no password ({rule})");
        found.push(HygieneFinding::new(&[who, path], text));
    }
    found
}
