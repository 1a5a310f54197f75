//! A path: its inode, its contents and their digests.

use super::{CONTENTS_KEPT, QuestionKind, SeenProperty, beginning, exists, quote, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("file.sh")], ask, observe: file, slow: false };

fn ask(check: &Check) -> String {
    let wanted: String = [("contents", 'c'), ("md5", 'm'), ("sha256", 'h'), ("sha512", 'H')]
        .iter()
        .filter(|(name, _)| wants(check, name))
        .map(|(_, letter)| letter)
        .collect();
    let kept = CONTENTS_KEPT + 1;
    match check.subject().strip_prefix('~') {
        Some(home) => {
            let (user, below) = home.find('/').map_or((home, ""), |at| home.split_at(at));
            format!("ask_home {} {} '{wanted}' {kept}", quote(user), quote(below.trim_end_matches('/')))
        }
        None => format!("ask_file {} '{wanted}' {kept}", quote(&cleaned(check.subject()))),
    }
}

/// An absolute path as goss looks it up: `.`, `..`, repeated and trailing slashes resolved by the text alone (Go,
/// filepath.Clean).
fn cleaned(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn file(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let there =
        exists(frame, "this user may not look there, and sudo -n does not work (or the suite says sudo = false)");
    if frame.word('x') == Some("late") {
        return SeenProperty::unknown(
            "the host did not answer in time (is it on a server that is not there?), or sudo did not",
        );
    }
    if property == "exists" || matches!(there, SeenProperty::Unknown(_)) {
        return there;
    }
    if there == SeenProperty::Value(false.into()) {
        return SeenProperty::Nothing("there is no such file".into());
    }
    match property {
        "linked-to" => match frame.whole('l', &[0]).as_deref().map(|l| l.strip_suffix('\n').unwrap_or(l)) {
            Ok("") => SeenProperty::Nothing("it is no symbolic link".into()),
            Ok(target) => SeenProperty::Value(target.into()),
            Err(why) => SeenProperty::unknown(format!("readlink: {why}")),
        },
        "contents" => match frame.word('c') {
            Some("") => contents(frame),
            other => unreadable(other),
        },
        "md5" => digest(frame, 'm', 32),
        "sha256" => digest(frame, 'h', 64),
        "sha512" => digest(frame, 'H', 128),
        _ => stat(property, frame),
    }
}

/// What was read before an error is not the contents.
fn contents(frame: &AnswerFrame) -> SeenProperty {
    match frame.told('c') {
        Some((bytes, Some(0))) => beginning(bytes, CONTENTS_KEPT),
        Some((_, Some(124 | 137 | 143))) => unreadable(Some("late")),
        Some((_, Some(status))) => {
            SeenProperty::unknown(format!("reading it failed on the host (head ended with status {status})"))
        }
        _ => SeenProperty::unknown("it could not be read to its end"),
    }
}

fn unreadable(word: Option<&str>) -> SeenProperty {
    match word {
        Some("-") => {
            SeenProperty::Nothing("it has no contents: it is a directory, a socket, or a link to nothing".into())
        }
        Some("late") => SeenProperty::unknown("it could not be read to its end in time"),
        _ => SeenProperty::unknown(
            "this user may not read it, and sudo -n does not work (or the suite says sudo = false)",
        ),
    }
}

fn digest(frame: &AnswerFrame, letter: char, length: usize) -> SeenProperty {
    match frame.word(letter) {
        Some(hex) if hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            SeenProperty::Value(hex.into())
        }
        Some(_) => SeenProperty::unknown("the digest could not be made on the host"),
        None => unreadable(frame.word('c')),
    }
}

/// `stat -c '%f %s %u %g %U %G'`, with lines' ends before the two names, which may hold spaces: the mode in hexadecimal
/// with the type in its upper bits (POSIX sys/stat.h), size, uid, gid, owner, group.
fn stat(property: &str, frame: &AnswerFrame) -> SeenProperty {
    let text = frame.text('t').unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let words: Vec<&str> = lines.first().map(|l| l.split(' ').collect()).unwrap_or_default();
    let ([mode, size, uid, gid], [_, owner, group]) = (words.as_slice(), lines.as_slice()) else {
        return SeenProperty::unknown("stat said nothing that can be read");
    };
    let Ok(mode) = u32::from_str_radix(mode, 16) else {
        return SeenProperty::unknown("stat said nothing that can be read");
    };
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) => SeenProperty::Value(number.into()),
        Err(_) => SeenProperty::unknown("stat said nothing that can be read"),
    };
    match property {
        "mode" => SeenProperty::Value(format!("{:04o}", mode & 0o7777).into()),
        "size" => number(size),
        "uid" => number(uid),
        "gid" => number(gid),
        "owner" => name(owner, uid),
        "group" => name(group, gid),
        "filetype" => SeenProperty::Value(file_type(mode).into()),
        _ => SeenProperty::unknown("no such property"),
    }
}

/// stat's word where the number has no name.
fn name(name: &str, number: &str) -> SeenProperty {
    match name {
        "UNKNOWN" => SeenProperty::Nothing(format!("the number {number} has no name")),
        name => SeenProperty::Value(name.into()),
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
