//! The lock file of one image, `images/<image>.lock.hcl`: HCL text ⇄ [`Lock`], and the chain in which every entry names the digest of
//! the one before, so that a dropped or edited entry shows. It refuses to decide who may add one (a main-only door's business).

use super::{
    candidate_file::{read_section, write_block},
    hcl_text::{Found, HclError, Source, Writer, quote},
};
use crate::model::{
    Digest, ImageName,
    ids::IdError,
    lock::{Lock, LockEntry},
};

/// First line of every lock file.
pub const HEADER: &str =
    "Written by assay. Each entry names the digest of the one before it: an edit by hand breaks the chain.";

/// The file's place in the repository.
pub fn path(image: &ImageName) -> String {
    format!("images/{image}.lock.hcl")
}

/// The file's text. The same lock always gives the same bytes.
pub fn write(lock: &Lock) -> String {
    let mut writer = Writer::new();
    writer.comment(HEADER);
    let gold: Vec<(&str, String)> = lock.gold.iter().map(|run| ("gold", quote(&run.to_string()))).collect();
    writer.block(&format!("lock {}", quote(lock.image.as_str())), &gold, |writer| {
        for entry in &lock.entries {
            write_entry(writer, entry);
        }
    });
    writer.finish()
}

/// The digest that the next entry names as its `previous`: SHA-256 of the entry's own block as [`write()`] lays it out at the left margin.
pub fn entry_digest(entry: &LockEntry) -> Digest {
    let mut writer = Writer::new();
    write_entry(&mut writer, entry);
    Digest::of(writer.finish().as_bytes())
}

fn write_entry(writer: &mut Writer, entry: &LockEntry) {
    let mut attributes = vec![
        ("state", quote(entry.state.as_str())),
        ("by", quote(&entry.by)),
        ("at", quote(&entry.at)),
        ("reason", quote(&entry.reason)),
    ];
    if let Some(previous) = &entry.previous {
        attributes.push(("previous", quote(previous.as_str())));
    }
    writer.block("entry", &attributes, |writer| {
        let head = format!("candidate {}", quote(entry.candidate.image.as_str()));
        write_block(writer, &head, &entry.candidate);
    });
}

/// Reads a lock file's text; `file` is what errors call it. Fails with file and line on anything but what [`write()`] could have
/// written, on a broken chain, and on a gold run that no entry made gold.
pub fn read(file: &str, text: &str) -> Result<Lock, HclError> {
    let source = Source { file, text };
    let body = source.parse()?;
    let (label, section) = source.only_block(&body, "lock")?;
    section.allow(&["gold"], &["entry"])?;
    let image: ImageName = label.parse().map_err(|error: IdError| section.error(error.to_string()))?;
    let mut entries: Vec<LockEntry> = Vec::new();
    for found in section.blocks("entry") {
        let entry = read_entry(&found, &image)?;
        let due = entries.last().map(entry_digest);
        if entry.previous != due {
            let due = due.map_or("no previous (it is the first)".to_owned(), |digest| {
                format!("previous = {:?}", digest.as_str())
            });
            let message =
                format!("the chain is broken: this entry must name {due}; an earlier entry was changed or dropped");
            return Err(found.section().error(message));
        }
        entries.push(entry);
    }
    let gold = section.optional_value("gold")?;
    if let Some(run) = gold
        && !entries.iter().any(|e| e.candidate.run == run && e.state == crate::model::State::Gold)
    {
        return Err(section.error(format!("gold names run {run}, which no entry made gold")));
    }
    Ok(Lock { image, gold, entries })
}

fn read_entry(found: &Found<'_>, image: &ImageName) -> Result<LockEntry, HclError> {
    let section = found.section();
    section.allow(&["state", "by", "at", "reason", "previous"], &["candidate"])?;
    found.labels(0)?;
    let blocks = section.blocks("candidate");
    let [candidate] = blocks.as_slice() else {
        return Err(section.error(format!("an entry holds one candidate block, found {}", blocks.len())));
    };
    if candidate.labels(1)?[0] != image.as_str() {
        return Err(candidate.section().error(format!("the lock of {image} holds an entry of another image")));
    }
    section.value::<jiff::Timestamp>("at")?;
    Ok(LockEntry {
        candidate: read_section(&candidate.section(), image.clone())?,
        state: section.value("state")?,
        by: section.text("by")?,
        at: section.text("at")?,
        reason: section.text("reason")?,
        previous: section.optional_value("previous")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::fixtures::lock;

    #[test]
    fn a_lock_survives_its_file() {
        let text = write(&lock());
        assert_eq!(read("base.lock.hcl", &text).expect("reads what it wrote"), lock());
        assert_eq!(write(&read("base.lock.hcl", &text).expect("reads")), text);
    }

    #[test]
    fn the_layout() {
        insta::assert_snapshot!("lock_file", write(&lock()));
    }

    #[test]
    fn an_empty_lock() {
        let empty = Lock { image: "base".parse().expect("a name"), gold: None, entries: Vec::new() };
        assert_eq!(read("l", &write(&empty)).expect("reads"), empty);
    }

    #[test]
    fn an_edited_or_dropped_entry_breaks_the_chain() {
        let text = write(&lock());
        let edited = text.replacen("full suite passed", "trust me", 1);
        assert_ne!(edited, text);
        assert!(read("l", &edited).expect_err("edited").to_string().contains("the chain is broken"));

        let mut dropped = lock();
        dropped.entries.remove(0);
        assert!(read("l", &write(&dropped)).expect_err("dropped").message.contains("the chain is broken"));
    }

    #[test]
    fn gold_must_have_been_made_gold() {
        let mut wrong = lock();
        wrong.entries.pop();
        assert!(read("l", &write(&wrong)).expect_err("never gold").message.contains("no entry made gold"));
    }
}
