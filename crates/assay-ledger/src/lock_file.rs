//! The lock file of one image, `images/<image>.lock.hcl`: HCL text ⇄ [`Lock`], and the chain in which every entry names the digest of
//! the one before, so that a dropped or edited entry shows. It refuses to decide who may add one (a command's, on the protected branch).

use super::{
    candidate_file::{read_record, read_section, record_attributes, record_head, write_block},
    hcl_text::{FoundBlock, HclError, HclSource, HclWriter, quote},
};
use assay_model::{
    Digest, ImageName, ImageState, RunId,
    ids::IdError,
    lock::{Lock, LockCopy, LockEntry},
};

/// The largest lock file that is read, in bytes.
pub(super) const MAX_BYTES: u64 = super::hcl_text::MAX_BYTES as u64;

/// First line of every lock file.
pub const HEADER: &str =
    "Written by assay. Each entry names the digest of the one before it: an edit by hand breaks the chain.";

/// The file's place in the repository.
pub fn path(image: &ImageName) -> String {
    format!("images/{image}.lock.hcl")
}

/// The file's text. The same lock always gives the same bytes.
pub fn write(lock: &Lock) -> String {
    let mut writer = HclWriter::new();
    writer.comment(HEADER);
    let gold: Vec<(&str, String)> = lock.gold.iter().map(|run| ("gold", quote(&run.to_string()))).collect();
    writer.block(&format!("lock {}", quote(lock.image.as_str())), &gold, |writer| {
        for (index, entry) in lock.entries.iter().enumerate() {
            match lock.text_as_read(index) {
                // What another version wrote stays as it stands: the chain is over its bytes.
                Some(text) => writer.block_text(text),
                None => write_entry(writer, entry),
            }
        }
    });
    writer.finish()
}

/// The digest that the next entry names as its `previous`: SHA-256 of the last entry's own block as it stands in the file, at the left margin.
fn last_digest(lock: &Lock) -> Option<Digest> {
    let last = lock.entries.len().checked_sub(1)?;
    match lock.text_as_read(last) {
        Some(text) => Some(Digest::of(text.as_bytes())),
        None => lock.entries.get(last).map(entry_digest),
    }
}

/// SHA-256 of an entry's block as [`write()`] lays it out at the left margin.
pub fn entry_digest(entry: &LockEntry) -> Digest {
    let mut writer = HclWriter::new();
    write_entry(&mut writer, entry);
    Digest::of(writer.finish().as_bytes())
}

/// The entry's block as it stands in a lock file.
pub(super) fn entry_text(entry: &LockEntry) -> String {
    let mut writer = HclWriter::new();
    write_entry(&mut writer, entry);
    let text = writer.finish();
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    text.lines().map(indented).collect()
}

/// Adds an entry and sets its `previous`. It refuses nothing: which move is legal is the caller's to know.
pub fn append(lock: &mut Lock, mut entry: LockEntry) {
    entry.previous = last_digest(lock);
    lock.entries.push(entry);
}

fn write_entry(writer: &mut HclWriter, entry: &LockEntry) {
    let mut attributes = vec![
        ("state", quote(entry.state.as_str())),
        ("by", quote(&entry.by)),
        ("at", quote(&entry.at)),
        ("reason", quote(&entry.reason)),
    ];
    let optional = [
        ("evidence", entry.evidence.as_ref().map(Digest::as_str)),
        ("effective_at", entry.effective_at.as_deref()),
        ("previous", entry.previous.as_ref().map(Digest::as_str)),
    ];
    attributes.extend(optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, quote(value)))));
    writer.block(&format!("entry {}", quote(&entry.run.to_string())), &attributes, |writer| {
        if let Some(candidate) = &entry.candidate {
            write_block(writer, &format!("candidate {}", quote(candidate.image.as_str())), candidate);
        }
        for copy in &entry.copies {
            write_copy(writer, copy);
        }
    });
}

fn write_copy(writer: &mut HclWriter, copy: &LockCopy) {
    let mut attributes = record_attributes(&copy.record);
    attributes.insert(1, ("of", quote(&copy.of.to_string())));
    writer.block(&record_head("copy", &copy.record), &attributes, |_| {});
}

/// Reads a lock file's text; `file` is what errors call it. Fails with file and line on anything but what [`write()`] could have
/// written, on a broken chain, on an entry of a run that was never moved in, and on a gold run whose last entry is not gold.
pub fn read(file: &str, text: &str) -> Result<Lock, HclError> {
    let source = HclSource { file, text };
    let body = source.parse()?;
    let (label, section) = source.only_block(&body, "lock")?;
    section.check_format()?;
    section.allow(&["gold", "format"], &["entry"])?;
    let image: ImageName = label.parse().map_err(|error: IdError| section.error(error.to_string()))?;
    let mut lock = Lock::new(image);
    for found in section.blocks("entry") {
        let entry = read_entry(&found, &lock.image)?;
        in_chain(&lock, &entry).map_err(|message| found.section().error(message))?;
        lock.push_read(entry, found.text());
    }
    lock.gold = section.optional_value("gold")?;
    match lock.gold {
        Some(run) if lock.state_of(run) != Some(ImageState::Gold) => {
            Err(section.error(format!("gold names run {run}, whose last entry is not gold")))
        }
        _ => Ok(lock),
    }
}

/// Reads the lock of one image, as [`read`] does. Fails also on that of another: a lock that was renamed or copied.
pub fn read_of(image: &ImageName, file: &str, text: &str) -> Result<Lock, HclError> {
    let lock = read(file, text)?;
    if lock.image == *image {
        return Ok(lock);
    }
    let message = format!("this is the lock of {}; it belongs to {}", lock.image, path(&lock.image));
    Err(HclError { file: file.to_owned(), line: 2, message })
}

/// Whether an entry may follow those of `lock`.
fn in_chain(lock: &Lock, entry: &LockEntry) -> Result<(), String> {
    let due = last_digest(lock);
    // A file that somebody laid out anew still says the same, entry by entry.
    if entry.previous != due && entry.previous != lock.entries.last().map(entry_digest) {
        let due = due
            .map_or("no previous (it is the first)".to_owned(), |digest| format!("previous = {:?}", digest.as_str()));
        return Err(format!(
            "the chain is broken: this entry must name {due}; an earlier entry was changed or dropped"
        ));
    }
    match (&entry.candidate, lock.candidate(entry.run)) {
        (None, None) => Err(format!("run {} was never moved in: its first entry needs its candidate block", entry.run)),
        (Some(_), Some(_)) => Err(format!("run {} was moved in before", entry.run)),
        (Some(candidate), None) if candidate.run != entry.run => {
            Err(format!("the entry is of run {}, its candidate of run {}", entry.run, candidate.run))
        }
        _ => Ok(()),
    }
}

fn read_entry(found: &FoundBlock<'_>, image: &ImageName) -> Result<LockEntry, HclError> {
    let section = found.section();
    let names = ["state", "by", "at", "reason", "evidence", "effective_at", "previous"];
    section.allow(&names, &["candidate", "copy"])?;
    let run: RunId = found.labels(1)?[0].parse().map_err(|error: IdError| section.error(error.to_string()))?;
    let blocks = section.blocks("candidate");
    if blocks.len() > 1 {
        return Err(section.error(format!("an entry holds at most one candidate block, found {}", blocks.len())));
    }
    if let Some(candidate) = blocks.first()
        && candidate.labels(1)?[0] != image.as_str()
    {
        return Err(candidate.section().error(format!("the lock of {image} holds an entry of another image")));
    }
    section.value::<jiff::Timestamp>("at")?;
    section.optional_value::<jiff::Timestamp>("effective_at")?;
    let candidate = blocks.first().map(|block| read_section(&block.section(), image.clone())).transpose()?;
    Ok(LockEntry {
        run,
        state: section.value("state")?,
        by: section.text("by")?,
        at: section.text("at")?,
        reason: section.text("reason")?,
        evidence: section.optional_value("evidence")?,
        effective_at: section.optional("effective_at")?,
        previous: section.optional_value("previous")?,
        candidate,
        copies: section.blocks("copy").iter().map(read_copy).collect::<Result<_, _>>()?,
    })
}

fn read_copy(found: &FoundBlock<'_>) -> Result<LockCopy, HclError> {
    let section = found.section();
    section.allow(&["id", "of", "name", "owner", "created_at", "snapshots"], &[])?;
    Ok(LockCopy { record: read_record(found)?, of: section.value("of")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::lock;

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
        let empty = Lock::new("base".parse().expect("a name"));
        assert_eq!(read("l", &write(&empty)).expect("reads"), empty);
    }

    #[test]
    fn the_chain_is_over_the_bytes_that_stand_in_the_file_and_a_new_entry_leaves_them_alone() {
        // As another version might write it: attributes in another order, and further words.
        let entry = |previous: &str, state: &str| {
            format!(
                "  entry \"{}\" {{\n    # by another version\n    reason = \"because\"\n    state = \"{state}\"\n{previous}    by = \"me\"\n    \
                 at = \"2026-11-22T12:00:00Z\"\n",
                crate::fixtures::RUN
            )
        };
        let canonical = write(&lock());
        let candidate = &canonical[canonical.find("\n    candidate ").expect("one")..];
        let candidate = &candidate[..candidate.find("\n  }\n").expect("an end")];
        let first = format!("{}{candidate}\n  }}\n", entry("", "vetted"));
        let standing: String =
            first.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        let previous = format!("    previous = \"{}\"\n", Digest::of(standing.as_bytes()));
        let text = format!("# x\nlock \"base\" {{\n\n{first}\n{}  }}\n}}\n", entry(&previous, "retired"));
        let mut other = read("l", &text).expect("the chain holds by its bytes");
        assert!(read("l", &text.replacen("because", "since", 1)).is_err(), "an edit breaks it");

        let entry = LockEntry { state: ImageState::Revoked, candidate: None, ..other.entries[1].clone() };
        append(&mut other, entry);
        let longer = write(&other);
        assert!(longer.contains(&first), "{longer}");
        assert_eq!(read("l", &longer).expect("goes on"), other);
        assert_eq!(write(&read("l", &longer).expect("reads")), longer);
    }

    #[test]
    fn a_file_of_a_later_format_is_refused_and_one_that_names_the_first_is_read() {
        let text = write(&lock());
        let of = |format: &str| text.replacen("  gold = ", &format!("  format = {format}\n  gold = "), 1);
        assert_eq!(read("l", &of("1")).expect("reads"), lock());
        for format in ["2", "\"1\"", "0"] {
            let error = read("l", &of(format)).expect_err(format).to_string();
            assert!(error.starts_with("l:3: format must be 1") && error.contains("newer assay"), "{error}");
        }
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
        assert!(read("l", &write(&wrong)).expect_err("never gold").message.contains("whose last entry is not gold"));
    }
}
