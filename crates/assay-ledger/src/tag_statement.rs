//! What one of assay's annotated tags says: image, state, run, time and AMIs, read from its message whatever words stand around them. Two tags that say the
//! same are the same tag, also where another version of assay worded one of them. It refuses to judge who made it.

use std::{collections::BTreeSet, sync::LazyLock};

use jiff::Timestamp;
use regex::Regex;

/// The first line: `assay: IMAGE STATE (VERDICT), run RUN`, the verdict only in a candidate's tag.
static SUBJECT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^assay: (\S+) ([a-z]+)(?: \([a-z]+\))?, run ([0-9A-Za-z]{26})$").expect("a fixed pattern")
});
/// A row about an AMI: id, architecture and region.
static AMI: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s+ami\s+(ami-[0-9a-f]+)\s+(\S+)\s+(\S+)").expect("a fixed pattern"));
/// The row with the time of the move.
static AT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s+at\s+(\S+)$").expect("a fixed pattern"));

/// An AMI as a tag names it: region, architecture, id.
type NamedAmi = (String, String, String);

/// The statement of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TagStatement {
    image: String,
    state: String,
    run: String,
    /// When the lock moved; a run may reach a state twice. None in a candidate's tag.
    at: Option<Timestamp>,
    amis: BTreeSet<NamedAmi>,
}

impl TagStatement {
    /// Reads a message. `None`: it says nothing of this kind.
    pub(super) fn of_message(message: &str) -> Option<Self> {
        let mut lines = message.lines();
        let subject = SUBJECT.captures(lines.next()?)?;
        let rows: Vec<&str> = lines.collect();
        let amis = rows.iter().filter_map(|row| AMI.captures(row));
        let at = rows.iter().find_map(|row| AT.captures(row));
        Some(Self {
            image: subject[1].to_owned(),
            state: subject[2].to_owned(),
            run: subject[3].to_ascii_uppercase(),
            at: at.and_then(|found| found[1].parse().ok()),
            amis: amis.map(|row| (row[3].to_owned(), row[2].to_owned(), row[1].to_owned())).collect(),
        })
    }

    /// Whether this says the same of no AMI that `whole` does not name: a further build of a run adds to its candidate, and not to its tag.
    pub(super) fn is_part_of(&self, whole: &Self) -> bool {
        let same = (&self.image, &self.state, &self.run) == (&whole.image, &whole.state, &whole.run);
        same && !self.amis.is_empty() && self.amis.is_subset(&whole.amis)
    }
}

/// The message in the text of a tag object (git-mktag(1)), without a signature behind it; `None` where the tag has another name.
pub(super) fn message_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (head, body) = text.split_once("\n\n")?;
    let unsigned = body.find("-----BEGIN ").map_or(body, |place| &body[..place]);
    head.lines().any(|line| line.strip_prefix("tag ") == Some(name)).then_some(unsigned.trim_end())
}

/// Whether the text of a tag object is that of a tag of this name which says what `message` says.
pub(super) fn says(text: &str, name: &str, message: &str) -> bool {
    let Some(there) = message_of(text, name) else { return false };
    there == message.trim_end()
        || TagStatement::of_message(there).is_some_and(|said| Some(said) == TagStatement::of_message(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, lock_tag, message};
    use assay_model::lock::LockEntry;

    fn object(name: &str, message: &str) -> String {
        format!("object 1\ntype commit\ntag {name}\ntagger t <t@x> 0 +0000\n\n{message}")
    }

    #[test]
    fn a_tag_is_the_same_by_what_it_says_signed_or_not_and_however_it_is_worded() {
        let lock = fixtures::lock();
        let tag = lock_tag(&lock, &lock.entries[1]);
        let worded =
            tag.message.replace("  reason   ", "  because  ").replace("base gold, run", "base is gold now: run");
        let worded = worded.replacen("base is gold now: run", "base gold, run", 1) + "  colour    blue\n";
        let signed = format!("{}-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n", tag.message);
        for text in [&tag.message, &worded, &signed] {
            assert!(says(&object(&tag.name, text), &tag.name, &tag.message), "{text}");
            assert!(!says(&object("base/gold/2", text), &tag.name, &tag.message), "another name");
        }
        for (from, to) in [
            ("base gold, run", "other gold, run"),
            ("base gold, run", "base vetted, run"),
            ("01KAQ3B6G0R8ZJ5Q2X7V9N4M1C", "01KAQ3B6G0R8ZJ5Q2X7V9N4M2C"),
            ("ami-0abcdef1234567801", "ami-0abcdef1234567809"),
            ("us-east-1", "us-east-2"),
            ("at        2026-11-22T12", "at        2026-11-22T13"),
        ] {
            let other = tag.message.replace(from, to);
            assert_ne!(other, tag.message, "{from}");
            assert!(!says(&object(&tag.name, &other), &tag.name, &tag.message), "{to}");
        }
    }

    #[test]
    fn no_reason_can_name_an_ami_or_a_time() {
        let mut lock = fixtures::lock();
        let said = |lock: &assay_model::lock::Lock, entry: &LockEntry| {
            TagStatement::of_message(&lock_tag(lock, entry).message)
        };
        let before = said(&lock, &lock.entries[1]);
        lock.entries[1].reason =
            "x\n  ami       ami-0abcdef1234567899 x86_64 us-east-1\n  at  2020-01-01T00:00:00Z".to_owned();
        assert_eq!(said(&lock, &lock.entries[1]), before);
    }

    #[test]
    fn the_tag_of_a_run_that_grew_is_part_of_what_it_says_now() {
        let statement = |candidate| TagStatement::of_message(&message::of_tag(&candidate)).expect("a statement");
        let (one, two) = (statement(fixtures::candidate()), statement(fixtures::candidate_of_two_builds()));
        assert!(one.is_part_of(&two) && !two.is_part_of(&one));
        let mut rejected = fixtures::candidate_of_two_builds();
        rejected.state = assay_model::ImageState::Rejected;
        assert!(!one.is_part_of(&statement(rejected)));
    }
}
