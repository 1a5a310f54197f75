//! The history of the lock files: along every line of the history each version goes on from the one before, whoever merged, squashed or rebased.
//! What an entry once said is never dropped or edited, and the tail is never cut. Read from git's own diffs, so that it costs what was written
//! and not the square of it.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::{Finding, Verified, in_git};
use crate::{
    ledger::{
        Books, LedgerError,
        git::{Call, REMOTE_DEADLINE},
        hcl_text::HclError,
        lock_file,
    },
    model::{ImageName, lock::Lock},
};

/// One change of one lock file between a commit and one of its parents.
#[derive(Debug, Default)]
struct Change {
    commit: String,
    path: String,
    /// Blobs before and after, abbreviated as git likes.
    blobs: (String, String),
    deleted: bool,
    /// The first line that the parent's version had and this one has not, but for the gold pointer.
    removed: Option<usize>,
    /// The gold pointer after, where this change set it, and whether it took one away.
    gold: Option<String>,
    gold_gone: bool,
    /// The runs whose entries this change added.
    added: BTreeSet<String>,
}

impl Change {
    /// Whether the pointer moved without an entry of that run: then the version as a whole must be read.
    fn moves_pointer_alone(&self) -> bool {
        match &self.gold {
            Some(run) => !self.added.contains(run),
            None => self.gold_gone && self.added.is_empty(),
        }
    }
}

static INDEX: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^index ([0-9a-f]+)\.\.([0-9a-f]+)").expect("a fixed pattern"));
static HUNK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^@@ -(\d+)").expect("a fixed pattern"));

/// Walks the history of all lock files, or of one.
pub async fn check(books: &Books, only: Option<&ImageName>, verified: &mut Verified) -> Result<(), LedgerError> {
    let repository = books.repository();
    if repository.is_shallow().await.map_err(in_git(repository))? {
        verified.unknown.push(Finding {
            place: "history".to_owned(),
            line: None,
            message: "this clone is shallow: what the lock files said before its oldest commit is not here".to_owned(),
            cure: "git fetch --unshallow (CircleCI: a full checkout; GitHub Actions: fetch-depth: 0)".to_owned(),
        });
    }
    let pattern = match only {
        Some(image) => format!(":(top,literal){}", lock_file::path(image)),
        None => ":(top,glob)images/*.lock.hcl".to_owned(),
    };
    // -m compares a merge with each of its parents: none of their entries may be lost in it.
    let arguments = vec![
        "-c",
        "log.showRoot=true",
        "-c",
        "core.quotePath=false",
        "-c",
        "diff.noprefix=false",
        "-c",
        "diff.mnemonicPrefix=false",
        "log",
        "--full-history",
        "-m",
        "-p",
        "-U0",
        "--minimal",
        "--text",
        "--full-index",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "--no-show-signature",
        "--no-notes",
        "--format=commit %H",
        books.commit(),
        "--",
        &pattern,
    ];
    let call = Call { arguments, deadline: Some(REMOTE_DEADLINE), ..Call::default() };
    let output = repository.git().run(call).await.map_err(in_git(repository))?;
    let changes = read(&String::from_utf8_lossy(&output));
    verified.versions = changes.len();
    for change in changes {
        if (change.deleted || change.removed.is_some()) && !goes_on(books, &change).await? {
            verified.findings.push(finding(&change));
        } else if change.moves_pointer_alone()
            && let Some(why) = unsound(books, &change).await?
        {
            verified.findings.push(pointer(&change, &why));
        }
    }
    Ok(())
}

/// Reads `git log -p -U0`.
fn read(text: &str) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let (mut commit, mut line, mut in_hunk) = (String::new(), 0, false);
    for row in text.lines() {
        if let Some(id) = row.strip_prefix("commit ") {
            commit = id.split(' ').next().unwrap_or_default().to_owned();
            in_hunk = false;
        } else if row.starts_with("diff --git ") {
            let path = row.rsplit_once(" b/").map(|(_, path)| path.to_owned()).unwrap_or_default();
            changes.push(Change { commit: commit.clone(), path, ..Change::default() });
            in_hunk = false;
        } else if let Some(change) = changes.last_mut() {
            if let Some(found) = HUNK.captures(row) {
                line = found[1].parse().unwrap_or(0);
                in_hunk = true;
            } else if in_hunk && let Some(removed) = row.strip_prefix('-') {
                match gold_pointer(removed) {
                    Some(_) => change.gold_gone = true,
                    None => drop(change.removed.get_or_insert(line)),
                }
                line += 1;
            } else if in_hunk && let Some(added) = row.strip_prefix('+') {
                if let Some(run) = gold_pointer(added) {
                    change.gold = Some(run.to_owned());
                }
                change.added.extend(
                    added.strip_prefix("  entry \"").and_then(|rest| rest.split('"').next()).map(str::to_owned),
                );
            } else if !in_hunk && row.starts_with("deleted file") {
                change.deleted = true;
            } else if !in_hunk && let Some(found) = INDEX.captures(row) {
                change.blobs = (found[1].to_owned(), found[2].to_owned());
            }
        }
    }
    changes
}

/// The run in the one line of a lock that changes.
fn gold_pointer(line: &str) -> Option<&str> {
    line.strip_prefix("  gold = \"")?.strip_suffix('"').filter(|run| run.len() == 26)
}

/// Why the version after is no sound lock.
async fn unsound(books: &Books, change: &Change) -> Result<Option<HclError>, LedgerError> {
    let texts = books.blobs(&[&change.blobs.1]).await?;
    Ok(texts.iter().find_map(|bytes| lock_file::read(&change.path, &String::from_utf8_lossy(bytes)).err()))
}

fn pointer(change: &Change, why: &HclError) -> Finding {
    Finding {
        place: change.path.clone(),
        line: Some(why.line),
        message: format!("commit {} moved the gold line alone: {}", change.commit, why.message),
        cure: format!(
            "look at it with git show -m {}, and find out who pushed it; assay moves the line only with an entry",
            change.commit
        ),
    }
}

/// Whether the version after goes on from the one before as data, although its text does not (another layout).
async fn goes_on(books: &Books, change: &Change) -> Result<bool, LedgerError> {
    if change.deleted {
        return Ok(false);
    }
    let texts = books.blobs(&[&change.blobs.0, &change.blobs.1]).await?;
    let locks: Vec<Lock> =
        texts.iter().filter_map(|bytes| lock_file::read(&change.path, &String::from_utf8_lossy(bytes)).ok()).collect();
    Ok(matches!(locks.as_slice(), [before, after] if after.entries.starts_with(&before.entries)))
}

fn finding(change: &Change) -> Finding {
    let (place, commit) = (change.path.clone(), &change.commit);
    let message = match change.deleted {
        true => format!("commit {commit} took the lock away, and its history with it"),
        false => {
            format!("commit {commit} dropped or edited what stood here in its parent; entries are only ever added")
        }
    };
    let cure = format!(
        "look at it with git show -m {commit}; restore what it took away in a new commit, behind which later moves are made again, and find out who pushed it"
    );
    Finding { place, line: change.removed, message, cure }
}
