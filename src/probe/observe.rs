//! An answer of the host into the values that a check's properties are about. It owns the reading of the host's own
//! formats (stat, dpkg, systemctl, /proc/net, cloud-init's JSON); it refuses to judge. Every byte here comes from the
//! host and may be anything.

use serde_json::{Value, json};

use super::{
    frames::Frame,
    script::{CONTENTS_KEPT, OUTPUT_KEPT, port},
    sockets,
};
use crate::suite::{Check, Resource};

/// What is known of one property.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// Its value.
    Value(Value),
    /// The beginning of a text that was longer than what is kept.
    Beginning(String),
    /// There is no value, because there is no such file, user, …: the demand is not met. Says why.
    Nothing(String),
    /// No trustworthy answer. Says why.
    Unknown(String),
}

impl Seen {
    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }
}

/// What `frame`, the answer to `check`, says about `property`.
pub(super) fn observe(check: &Check, property: &str, frame: &Frame) -> Seen {
    match check.resource {
        Resource::Command => command(check, property, frame),
        Resource::File => file(property, frame),
        Resource::Package => package(property, check.subject(), frame),
        Resource::Service => service(property, frame),
        Resource::Systemd => systemd(frame),
        Resource::Port => listening(property, check.subject(), frame),
        Resource::User => user(property, frame),
        Resource::Process => exists(frame, "this user may not see other users' processes"),
        Resource::CloudInit => cloud_init(property, frame),
    }
}

/// The first word of an answer: whether the thing is there.
fn exists(frame: &Frame, why_unknown: &str) -> Seen {
    match frame.word('x') {
        Some("1") => Seen::Value(true.into()),
        Some("0") => Seen::Value(false.into()),
        _ => Seen::unknown(why_unknown),
    }
}

fn command(check: &Check, property: &str, frame: &Frame) -> Seen {
    let Some(status) = frame.word('s').and_then(|s| s.parse::<i64>().ok()) else {
        return Seen::unknown("the command's exit status is missing");
    };
    // The command's own status cannot tell a time-out apart from a command that exits with 124, 137 or 143: the time
    // can, where the host has a clock to read.
    let timed_out = match frame.elapsed {
        Some(elapsed) => elapsed >= check.timeout,
        None => matches!(status, 124 | 137 | 143),
    };
    if timed_out {
        return Seen::unknown(format!(
            "it took longer than its timeout of {} (or a process that it started still holds its output)",
            seconds(check.timeout)
        ));
    }
    match property {
        "exit-status" => Seen::Value(status.into()),
        "stdout" => kept(frame, 'o', OUTPUT_KEPT),
        _ => kept(frame, 'e', OUTPUT_KEPT),
    }
}

fn seconds(time: std::time::Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn kept(frame: &Frame, letter: char, limit: usize) -> Seen {
    match frame.bytes(letter) {
        Some(bytes) if bytes.len() > limit => Seen::Beginning(String::from_utf8_lossy(&bytes[..limit]).into_owned()),
        Some(bytes) => Seen::Value(String::from_utf8_lossy(bytes).into()),
        None => Seen::unknown("the output is missing"),
    }
}

fn file(property: &str, frame: &Frame) -> Seen {
    let there =
        exists(frame, "this user may not look there, and sudo -n does not work (or the suite says sudo = false)");
    if property == "exists" || matches!(there, Seen::Unknown(_)) {
        return there;
    }
    if there == Seen::Value(false.into()) {
        return Seen::Nothing("there is no such file".into());
    }
    match property {
        "linked-to" => match frame.text('l').as_deref().map(|l| l.strip_suffix('\n').unwrap_or(l)) {
            Some("") => Seen::Nothing("it is no symbolic link".into()),
            Some(target) => Seen::Value(target.into()),
            None => Seen::unknown("readlink said nothing"),
        },
        "contents" => match frame.word('c') {
            Some("") => kept(frame, 'c', CONTENTS_KEPT),
            other => unreadable(other),
        },
        "md5" => digest(frame, 'm', 32),
        "sha256" => digest(frame, 'h', 64),
        "sha512" => digest(frame, 'H', 128),
        _ => stat(property, frame),
    }
}

fn unreadable(word: Option<&str>) -> Seen {
    match word {
        Some("-") => Seen::Nothing("it is no regular file".into()),
        _ => Seen::unknown("this user may not read it, and sudo -n does not work (or the suite says sudo = false)"),
    }
}

fn digest(frame: &Frame, letter: char, length: usize) -> Seen {
    match frame.word(letter) {
        Some(hex) if hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Seen::Value(hex.into()),
        Some(_) => Seen::unknown("the digest could not be made on the host"),
        None => unreadable(frame.word('c')),
    }
}

/// `stat -c '%f %s %u %g %U %G'`: the mode in hexadecimal with the type in its upper bits (POSIX sys/stat.h), size,
/// uid, gid, owner, group.
fn stat(property: &str, frame: &Frame) -> Seen {
    let text = frame.text('t').unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [mode, size, uid, gid, owner, group] = words.as_slice() else {
        return Seen::unknown("stat said nothing that can be read");
    };
    let Ok(mode) = u32::from_str_radix(mode, 16) else {
        return Seen::unknown("stat said nothing that can be read");
    };
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) => Seen::Value(number.into()),
        Err(_) => Seen::unknown("stat said nothing that can be read"),
    };
    match property {
        "mode" => Seen::Value(format!("{:04o}", mode & 0o7777).into()),
        "size" => number(size),
        "uid" => number(uid),
        "gid" => number(gid),
        "owner" => Seen::Value((*owner).into()),
        "group" => Seen::Value((*group).into()),
        "filetype" => Seen::Value(file_type(mode).into()),
        _ => Seen::unknown("no such property"),
    }
}

fn file_type(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o100_000 => "file",
        0o040_000 => "directory",
        0o120_000 => "symlink",
        0o140_000 => "socket",
        0o010_000 => "pipe",
        0o060_000 => "block-device",
        0o020_000 => "character-device",
        _ => "unknown",
    }
}

fn package(property: &str, name: &str, frame: &Frame) -> Seen {
    let output = frame.text('o').unwrap_or_default();
    let status = frame.word('s').unwrap_or_default();
    let versions = match (frame.word('m').unwrap_or_default(), status) {
        ("dpkg", "0") => dpkg_versions(&output),
        ("dpkg", "1") if output.contains("no packages found") => Vec::new(),
        ("rpm", "0") => output.lines().map(str::to_owned).collect(),
        ("rpm", "1") if output.contains("is not installed") => Vec::new(),
        ("apk", "0") => {
            output.lines().filter_map(|l| l.trim().strip_prefix(name)?.strip_prefix('-')).map(str::to_owned).collect()
        }
        ("apk", "1") => Vec::new(),
        ("none", _) => return Seen::unknown("the host has neither dpkg, rpm nor apk"),
        (manager, status) => {
            return Seen::unknown(format!("{manager} ended with status {status}: {}", first_line(&output)));
        }
    };
    match (property, versions.is_empty()) {
        ("installed", empty) => Seen::Value((!empty).into()),
        (_, true) => Seen::Nothing("it is not installed".into()),
        (_, false) => Seen::Value(versions.into()),
    }
}

/// Lines of `install ok installed 1:9.2p1-2`; any other state (removed but configured, half installed) is not
/// installed.
fn dpkg_versions(output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| {
            line.strip_prefix("install ok installed ").or_else(|| line.strip_prefix("hold ok installed "))
        })
        .map(str::to_owned)
        .collect()
}

/// The properties of `systemctl show`. Enabled are the states for which `systemctl is-enabled` exits with 0 (its
/// manual page).
fn service(property: &str, frame: &Frame) -> Seen {
    let output = match systemctl(frame) {
        Ok(output) => output,
        Err(unknown) => return unknown,
    };
    let value = |name: &str| output.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')).map(str::trim);
    let (Some(load), Some(active)) = (value("LoadState"), value("ActiveState")) else {
        return Seen::unknown(format!("systemctl said: {}", first_line(&output)));
    };
    let enabled = value("UnitFileState").unwrap_or_default();
    match property {
        "running" => Seen::Value(matches!(active, "active" | "reloading" | "refreshing").into()),
        _ if load == "not-found" => Seen::Value(false.into()),
        _ => Seen::Value(
            matches!(
                enabled,
                "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated" | "transient"
            )
            .into(),
        ),
    }
}

fn systemctl(frame: &Frame) -> Result<String, Seen> {
    let output = frame.text('o').unwrap_or_default();
    match frame.word('s') {
        Some("0") => Ok(output),
        Some("none") => {
            Err(Seen::unknown("the host has no systemctl; services can be asked about on systemd hosts only"))
        }
        Some(status) => Err(Seen::unknown(format!("systemctl ended with status {status}: {}", first_line(&output)))),
        None => Err(Seen::unknown("systemctl's answer is missing")),
    }
}

/// `systemctl list-units --plain --no-legend`: the unit is each line's first word.
fn systemd(frame: &Frame) -> Seen {
    match systemctl(frame) {
        Ok(output) => {
            let units: Vec<&str> =
                output.lines().filter_map(|l| l.split_whitespace().find(|w| *w != "●" && *w != "*")).collect();
            Seen::Value(json!(units))
        }
        Err(unknown) => unknown,
    }
}

fn listening(property: &str, id: &str, frame: &Frame) -> Seen {
    let (family, number) = port(id);
    let addresses = match frame.word('x') {
        Some("1") => sockets::listening(&frame.text('o').unwrap_or_default(), family, number),
        Some("0") => Vec::new(),
        _ => return Seen::unknown("the host does not show its sockets in /proc/net"),
    };
    match (property, addresses.is_empty()) {
        ("listening", empty) => Seen::Value((!empty).into()),
        (_, true) => Seen::Nothing("nothing listens there".into()),
        (_, false) => Seen::Value(addresses.into()),
    }
}

/// A line of /etc/passwd (passwd(5)), and `id -Gn`.
fn user(property: &str, frame: &Frame) -> Seen {
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

/// cloud-init's result.json: `{"v1": {"datasource": …, "errors": […]}}`.
fn cloud_init(property: &str, frame: &Frame) -> Seen {
    match frame.word('x') {
        Some("1") if property == "finished" => Seen::Value(true.into()),
        Some("0") if property == "finished" => Seen::Value(false.into()),
        Some("1") => {
            let bytes = frame.bytes('o').unwrap_or_default();
            match serde_json::from_slice::<Value>(bytes).ok().and_then(|v| v.pointer("/v1/errors").cloned()) {
                Some(Value::Array(errors)) => Seen::Value(
                    errors.iter().map(|e| e.as_str().map_or_else(|| e.to_string(), str::to_owned)).collect(),
                ),
                _ => Seen::unknown("/run/cloud-init/result.json does not list errors"),
            }
        }
        Some("0") => Seen::Nothing("cloud-init has not finished".into()),
        Some("absent") => Seen::Nothing("there is no cloud-init on this host".into()),
        Some("disabled") => Seen::Nothing("cloud-init is disabled on this host".into()),
        _ => Seen::unknown("the state of cloud-init is missing"),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|l| !l.trim().is_empty()).unwrap_or("nothing")
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
