//! The program's answer: lines of tab-separated facts, each begun by its section's word; and of each section that it ended (`WORD .`), why it did not look
//! everywhere (`WORD !reason`), how many more there were of a kind (`WORD +7 kind`). It owns that form only.

use std::collections::BTreeMap;

/// One answer.
#[derive(Debug, Default)]
pub(super) struct HygieneAnswer<'a> {
    /// When this instance booted for the first time, in Unix seconds; 0: not told.
    pub first_boot: i64,
    /// What the host's clock says, in Unix seconds; 0: not told.
    pub now: i64,
    sections: BTreeMap<&'a str, HygieneSection<'a>>,
}

/// What was found in one place.
#[derive(Debug, Default, Clone)]
pub(super) struct HygieneSection<'a> {
    lines: Vec<&'a str>,
    /// How many more there were of each kind.
    more: BTreeMap<&'a str, u64>,
    /// Whether the host came to its end.
    pub whole: bool,
    /// Why it did not look everywhere all the same; empty where its time was over.
    pub lacking: Option<&'a str>,
}

impl<'a> HygieneSection<'a> {
    /// The lines that have `N` facts at least; what follows the last tab between them belongs to the last fact, which is
    /// the image's own text and may hold tabs.
    pub(super) fn facts<const N: usize>(&self) -> Vec<[&'a str; N]> {
        self.lines.iter().filter_map(|line| split(line)).collect()
    }

    /// How many more there were of these kinds.
    pub(super) fn more(&self, kinds: &[&str]) -> u64 {
        kinds.iter().filter_map(|kind| self.more.get(kind)).fold(0, |all, more| all.saturating_add(*more))
    }

    /// The lines of one kind, which is their first fact; the others as in [`HygieneSection::facts`].
    pub(super) fn of_kind<const N: usize>(&self, kind: &str) -> Vec<[&'a str; N]> {
        let own = self.lines.iter().filter_map(|line| line.strip_prefix(kind)?.strip_prefix('\t'));
        own.filter_map(split).collect()
    }
}

fn split<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.splitn(N, '\t').collect::<Vec<_>>().try_into().ok()
}

impl<'a> HygieneAnswer<'a> {
    /// Reads what the program printed. Lines that it cannot have printed are left out.
    pub(super) fn read(text: &'a str) -> Self {
        let mut answer = Self::default();
        for line in text.lines() {
            let Some((word, rest)) = line.split_once(['\t', ' ']) else { continue };
            if line.as_bytes().get(word.len()) == Some(&b'\t') {
                match rest.split_once('\t') {
                    Some((time, now)) if word == "first" => {
                        answer.first_boot = time.parse().unwrap_or(0);
                        answer.now = now.parse().unwrap_or(0);
                    }
                    _ => answer.sections.entry(word).or_default().lines.push(rest),
                }
            } else if rest == "." {
                answer.sections.entry(word).or_default().whole = true;
            } else if let Some(why) = rest.strip_prefix('!') {
                let section = answer.sections.entry(word).or_default();
                section.lacking = section.lacking.filter(|why| !why.is_empty()).or(Some(why));
            } else if let Some((more, kind)) = rest.strip_prefix('+').and_then(|rest| rest.split_once(' ')) {
                let more = more.parse::<u64>().unwrap_or(u64::MAX);
                let section = answer.sections.entry(word).or_default();
                let before = section.more.entry(kind).or_default();
                *before = before.saturating_add(more);
            }
        }
        answer
    }

    /// A section; an empty one that is not whole where the answer has none.
    pub(super) fn section(&self, word: &str) -> HygieneSection<'a> {
        self.sections.get(word).cloned().unwrap_or_default()
    }

    /// Whether something of that time (Unix seconds) was there before the first boot.
    pub(super) fn is_older(&self, time: &str) -> bool {
        time.parse::<i64>().is_ok_and(|time| time < self.first_boot)
    }
}
