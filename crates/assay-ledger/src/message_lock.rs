//! The words of commits and tags that move a lock: `assay: base gold, run …`, who, when, why, the AMIs, and trailers for scripts. It owns
//! their layout and what of a person's words may stand in them; it refuses to decide a move. All is derived from the lock alone, so that
//! a rerun arrives at the same tag.

use std::{fmt::Write as _, sync::LazyLock};

use regex::Regex;

use super::books::NewTag;
use assay_model::{
    AmiRecord,
    escape::{bounded, escape_line},
    lock::{Lock, LockEntry},
};

/// The most bytes of a reason or a name that stand in a message; the lock holds all of it.
const MOST: usize = 500;

/// What CI systems take for a command even outside brackets: Azure's `***NO_CI***`, GitHub's trailer `skip-checks: true`.
static COMMANDS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\*{3,}|(skip-checks)\s*:").expect("a fixed pattern"));

/// The message of a commit that adds `moves` to `lock`, which holds them already. The first move gives the subject: for a promotion that of
/// the new gold run.
pub fn lock_commit(lock: &Lock, moves: &[LockEntry]) -> String {
    let mut message = format!("{}\n", subject(lock, moves));
    for entry in moves {
        message.push('\n');
        message.push_str(&summary(lock, entry));
    }
    message.push('\n');
    for entry in moves {
        let _ = writeln!(message, "Assay-Image: {}", lock.image);
        let _ = writeln!(message, "Assay-Run: {}", entry.run);
        let _ = writeln!(message, "Assay-State: {}", entry.state);
    }
    message
}

/// The annotated tag of one move. `lock` holds the entry.
pub fn lock_tag(lock: &Lock, entry: &LockEntry) -> NewTag {
    let message = format!("{}\n\n{}", subject(lock, std::slice::from_ref(entry)), summary(lock, entry));
    NewTag { name: lock_tag_name(lock, entry), message }
}

/// `<image>/<state>/<yyyymmdd>-<run>`, the day of the entry in UTC. A run that reaches the same state twice on one day (a rollback and back)
/// gets `-2` and so on behind it.
pub fn lock_tag_name(lock: &Lock, entry: &LockEntry) -> String {
    let day = day(&entry.at);
    let name = format!("{}/{}/{day}-{}", lock.image, entry.state, entry.run);
    let alike = |other: &&LockEntry| {
        other.run == entry.run && other.state == entry.state && self::day(&other.at) == day && *other != entry
    };
    match until(lock, entry).iter().filter(alike).count() {
        0 => name,
        before => format!("{name}-{}", before + 1),
    }
}

/// The entries up to and with `entry`; all where it is not among them.
fn until<'a>(lock: &'a Lock, entry: &LockEntry) -> &'a [LockEntry] {
    let end = lock.entries.iter().position(|other| other == entry).map_or(lock.entries.len(), |place| place + 1);
    &lock.entries[..end]
}

fn day(at: &str) -> String {
    at.parse::<jiff::Timestamp>().map_or_else(|_| "00000000".to_owned(), |at| at.strftime("%Y%m%d").to_string())
}

fn subject(lock: &Lock, moves: &[LockEntry]) -> String {
    match moves.first() {
        Some(entry) => format!("assay: {} {}, run {}", lock.image, entry.state, entry.run),
        None => format!("assay: {}", lock.image),
    }
}

fn summary(lock: &Lock, entry: &LockEntry) -> String {
    let mut text = format!("{} {}, run {}\n", lock.image, entry.state, entry.run);
    let row = |text: &mut String, name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    row(&mut text, "by", &harmless(&entry.by));
    row(&mut text, "at", &harmless(&entry.at));
    row(&mut text, "reason", &harmless(&entry.reason));
    if let Some(digest) = &entry.evidence {
        row(&mut text, "evidence", digest.as_str());
    }
    if let Some(at) = &entry.effective_at {
        row(&mut text, "effective", &harmless(at));
    }
    for record in amis(lock, entry) {
        let place = format!("{} {} {}", record.ami.id, record.architecture, record.ami.region);
        row(&mut text, "ami", &place);
    }
    text
}

/// The run's AMIs as they were known at this entry: copies of later moves are not in its message.
fn amis<'a>(lock: &'a Lock, entry: &LockEntry) -> impl Iterator<Item = &'a AmiRecord> {
    let run = entry.run;
    let before = until(lock, entry);
    let of_run = || before.iter().filter(move |other| other.run == run);
    let tested = of_run().find_map(|other| other.candidate.as_ref()).into_iter().flat_map(|candidate| &candidate.amis);
    let copies: Vec<&AmiRecord> = of_run().flat_map(|other| &other.copies).map(|copy| &copy.record).collect();
    tested.map(|ami| &ami.record).chain(copies)
}

/// A person's words for one line of a message: bounded, no control character, no line break (so no trailer of its own), and nothing that a
/// CI system takes for a command. All of their markers stand in square brackets (`[skip ci]`, `[ci skip]`, `[no ci]`, `[skip actions]`), but
/// for those in [`COMMANDS`].
pub fn harmless(words: &str) -> String {
    let round: String = words
        .chars()
        .map(|c| match c {
            '[' => '(',
            ']' => ')',
            c => c,
        })
        .collect();
    bounded(&escape_line(COMMANDS.replace_all(&round, "$1").trim()), MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures::lock, lock_file};
    use assay_model::ImageState;

    #[test]
    fn the_words() {
        let lock = lock();
        let moves: Vec<LockEntry> = lock.entries.iter().rev().cloned().collect();
        insta::assert_snapshot!("lock_commit_message", lock_commit(&lock, &moves));
        let tag = lock_tag(&lock, &lock.entries[1]);
        insta::assert_snapshot!("lock_tag_message", tag.message);
        assert_eq!(tag.name, "base/gold/20261122-01KAQ3B6G0R8ZJ5Q2X7V9N4M1C");
    }

    #[test]
    fn no_reason_is_a_command_to_ci_or_a_trailer() {
        let mut lock = lock();
        let words = "fine\n\n\nskip-checks: true\nAssay-State: gold\n[skip ci] [ci skip] ***NO_CI*** \u{202e}\u{1b}[2J";
        lock.entries[1].reason = format!("{words}{}", "x".repeat(5000));
        lock.entries[1].by = "me [no ci] <me@x>".to_owned();
        for message in [lock_commit(&lock, &lock.entries), lock_tag(&lock, &lock.entries[1]).message] {
            let lower = message.to_lowercase();
            for command in ["[skip", "[ci", "[no", "***", "skip-checks:", "\u{1b}", "\u{202e}"] {
                assert!(!lower.contains(command), "{command}: {message}");
            }
            assert!(message.lines().all(|line| line.len() < 600));
            assert!(!message.lines().any(|line| line.starts_with("skip") || line == "Assay-State: true"));
        }
    }

    #[test]
    fn a_second_gold_on_one_day_has_a_tag_of_its_own_and_the_first_keeps_its_words() {
        let mut lock = lock();
        let first = lock_tag(&lock, &lock.entries[1]);
        for (state, at) in [(ImageState::Retired, "2026-11-22T13:00:00Z"), (ImageState::Gold, "2026-11-22T14:00:00Z")] {
            let copies = lock.entries[1].copies.clone();
            let entry = LockEntry { state, at: at.to_owned(), copies, ..lock.entries[1].clone() };
            lock_file::append(&mut lock, entry);
        }
        assert_eq!(lock_tag(&lock, &lock.entries[1]), first);
        assert_eq!(lock_tag_name(&lock, &lock.entries[3]), format!("{}-2", first.name));
    }
}
