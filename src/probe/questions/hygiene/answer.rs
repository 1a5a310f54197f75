//! The program's answer: lines of tab-separated facts, each begun by its section's word. It owns that form only.

use std::collections::BTreeMap;

/// One answer.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    /// When this instance booted for the first time, in Unix seconds; 0: not told.
    pub first_boot: i64,
    sections: BTreeMap<&'a str, Section<'a>>,
}

/// What was found in one place.
#[derive(Debug, Default, Clone)]
pub(super) struct Section<'a> {
    lines: Vec<&'a str>,
    /// How many more there were.
    pub more: u64,
    /// Whether the host looked everywhere.
    pub whole: bool,
}

impl<'a> Section<'a> {
    /// The lines that have `N` facts at least; what follows the last tab between them belongs to the last fact, which is
    /// the image's own text and may hold tabs.
    pub fn facts<const N: usize>(&self) -> Vec<[&'a str; N]> {
        self.lines.iter().filter_map(|line| split(line)).collect()
    }

    /// The lines of one kind, which is their first fact; the others as in [`Section::facts`].
    pub fn of_kind<const N: usize>(&self, kind: &str) -> Vec<[&'a str; N]> {
        let own = self.lines.iter().filter_map(|line| line.strip_prefix(kind)?.strip_prefix('\t'));
        own.filter_map(split).collect()
    }
}

fn split<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.splitn(N, '\t').collect::<Vec<_>>().try_into().ok()
}

impl<'a> Answer<'a> {
    /// Reads what the program printed. Lines that it cannot have printed are left out.
    pub fn read(text: &'a str) -> Self {
        let mut answer = Self::default();
        for line in text.lines() {
            let Some((word, rest)) = line.split_once(['\t', ' ']) else { continue };
            if line.as_bytes().get(word.len()) == Some(&b'\t') {
                match rest.split_once('\t') {
                    Some((time, _)) if word == "first" => answer.first_boot = time.parse().unwrap_or(0),
                    _ => answer.sections.entry(word).or_default().lines.push(rest),
                }
            } else if rest == "." {
                answer.sections.entry(word).or_default().whole = true;
            } else if let Some(more) = rest.strip_prefix('+').and_then(|n| n.parse::<u64>().ok()) {
                let section = answer.sections.entry(word).or_default();
                section.more = section.more.saturating_add(more);
            }
        }
        answer
    }

    /// A section; an empty one that is not whole where the answer has none.
    pub fn section(&self, word: &str) -> Section<'a> {
        self.sections.get(word).cloned().unwrap_or_default()
    }

    /// Whether something of that time (Unix seconds) was there before the first boot.
    pub fn is_older(&self, time: &str) -> bool {
        time.parse::<i64>().is_ok_and(|time| time < self.first_boot)
    }
}
