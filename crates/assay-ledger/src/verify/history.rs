//! The history of the lock files: along every line of the history each version goes on from the one before, whoever merged, squashed or rebased.
//! What an entry once said is never dropped or edited, and the tail is never cut. Read from git's own diffs, so that it costs what was written
//! and not the square of it, and as they come, so that no history is too long.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use regex::Regex;

use super::{VerifyFinding, VerifyResult, in_git};
use crate::{LedgerError, LedgerSnapshot, git::GitCall, hcl_text::HclError, lock_file};
use assay_model::{ImageName, lock::Lock};

/// How long git may take over the whole history: each merge is compared with each of its parents.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// One change of one lock file between a commit and one of its parents.
#[derive(Debug, Default)]
struct LockFileChange {
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

impl LockFileChange {
    /// Whether the diff alone does not show that this version goes on from the one before.
    fn is_doubtful(&self) -> bool {
        self.deleted || self.removed.is_some() || self.moves_pointer_alone()
    }

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
pub(super) async fn check(
    books: &LedgerSnapshot,
    only: Option<&ImageName>,
    verified: &mut VerifyResult,
) -> Result<(), LedgerError> {
    let repository = books.repository();
    if repository.is_shallow().await.map_err(in_git(repository))? {
        verified.unknown.push(VerifyFinding {
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
    let call = GitCall { arguments, deadline: Some(DEADLINE), ..GitCall::default() };
    let mut reader = DiffReader::default();
    repository.git().stream(call, |bytes| reader.take(bytes)).await.map_err(in_git(repository))?;
    let (versions, doubtful) = reader.finish();
    verified.versions = versions;
    for change in doubtful {
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

/// Reads `git log -p -U0` as it comes, and keeps what must be looked at more closely.
#[derive(Debug, Default)]
struct DiffReader {
    /// The beginning of a row whose end has not come yet.
    rest: Vec<u8>,
    commit: String,
    line: usize,
    in_hunk: bool,
    change: Option<LockFileChange>,
    versions: usize,
    doubtful: Vec<LockFileChange>,
}

impl DiffReader {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(&bytes[..end]);
            let row = std::mem::take(&mut self.rest);
            self.row(&String::from_utf8_lossy(&row));
            bytes = &bytes[end + 1..];
        }
        self.rest.extend_from_slice(bytes);
    }

    /// How many versions there are, and the doubtful changes.
    fn finish(mut self) -> (usize, Vec<LockFileChange>) {
        let row = std::mem::take(&mut self.rest);
        self.row(&String::from_utf8_lossy(&row));
        self.next(None);
        (self.versions, self.doubtful)
    }

    fn next(&mut self, change: Option<LockFileChange>) {
        if let Some(done) = std::mem::replace(&mut self.change, change) {
            self.versions += 1;
            self.doubtful.extend(Some(done).filter(LockFileChange::is_doubtful));
        }
        self.in_hunk = false;
    }

    fn row(&mut self, row: &str) {
        if let Some(id) = row.strip_prefix("commit ") {
            self.next(None);
            self.commit = id.split(' ').next().unwrap_or_default().to_owned();
        } else if row.starts_with("diff --git ") {
            let path = row.rsplit_once(" b/").map(|(_, path)| path.to_owned()).unwrap_or_default();
            self.next(Some(LockFileChange { commit: self.commit.clone(), path, ..LockFileChange::default() }));
        } else if let Some(change) = &mut self.change {
            if let Some(found) = HUNK.captures(row) {
                self.line = found[1].parse().unwrap_or(0);
                self.in_hunk = true;
            } else if self.in_hunk
                && let Some(removed) = row.strip_prefix('-')
            {
                match gold_pointer(removed) {
                    Some(_) => change.gold_gone = true,
                    None => drop(change.removed.get_or_insert(self.line)),
                }
                self.line += 1;
            } else if self.in_hunk
                && let Some(added) = row.strip_prefix('+')
            {
                if let Some(run) = gold_pointer(added) {
                    change.gold = Some(run.to_owned());
                }
                change.added.extend(
                    added.strip_prefix("  entry \"").and_then(|rest| rest.split('"').next()).map(str::to_owned),
                );
            } else if !self.in_hunk && row.starts_with("deleted file") {
                change.deleted = true;
            } else if !self.in_hunk
                && let Some(found) = INDEX.captures(row)
            {
                change.blobs = (found[1].to_owned(), found[2].to_owned());
            }
        }
    }
}

/// The run in the one line of a lock that changes.
fn gold_pointer(line: &str) -> Option<&str> {
    line.strip_prefix("  gold = \"")?.strip_suffix('"').filter(|run| run.len() == 26)
}

/// Why the version after is no sound lock.
async fn unsound(books: &LedgerSnapshot, change: &LockFileChange) -> Result<Option<HclError>, LedgerError> {
    let texts = versions(books, change, &[&change.blobs.1]).await?;
    Ok(texts.into_iter().find_map(Result::err))
}

fn pointer(change: &LockFileChange, why: &HclError) -> VerifyFinding {
    VerifyFinding {
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
async fn goes_on(books: &LedgerSnapshot, change: &LockFileChange) -> Result<bool, LedgerError> {
    if change.deleted {
        return Ok(false);
    }
    let locks = versions(books, change, &[&change.blobs.0, &change.blobs.1]).await?;
    Ok(matches!(locks.as_slice(), [Ok(before), Ok(after)] if after.entries.starts_with(&before.entries)))
}

/// These versions of the lock, each as far as it can be read.
async fn versions(
    books: &LedgerSnapshot,
    change: &LockFileChange,
    blobs: &[&str],
) -> Result<Vec<Result<Lock, HclError>>, LedgerError> {
    let too_large = || HclError {
        file: change.path.clone(),
        line: 1,
        message: format!("it is larger than {} bytes", lock_file::MAX_BYTES),
    };
    let texts = books.blobs_up_to(blobs, lock_file::MAX_BYTES).await?.into_iter();
    let read = |bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => lock_file::read(&change.path, &String::from_utf8_lossy(&bytes)),
        None => Err(too_large()),
    };
    Ok(texts.map(read).collect())
}

fn finding(change: &LockFileChange) -> VerifyFinding {
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
    VerifyFinding { place, line: change.removed, message, cure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_read_the_same_in_whatever_pieces_it_comes() {
        let text = "commit 1\n\ndiff --git a/images/base.lock.hcl b/images/base.lock.hcl\nindex aa..bb 100644\n--- a/x\n+++ b/x\n\
                    @@ -3 +3,2 @@\n-  gold = \"01KAQ3B6G0R8ZJ5Q2X7V9N4M1C\"\n+  gold = \"01KAQ3B6G0R8ZJ5Q2X7V9N4M2C\"\n\
                    @@ -9,2 +9,0 @@\n-  entry \"01KAQ3B6G0R8ZJ5Q2X7V9N4M1C\" {\n-  }\n\ncommit 2\n\n\
                    diff --git a/images/app.lock.hcl b/images/app.lock.hcl\nindex cc..dd 100644\n@@ -0,0 +4 @@\n\
                    +  entry \"01KAQ3B6G0R8ZJ5Q2X7V9N4M1C\" {\n";
        for size in [1, 7, 4096] {
            let mut reader = DiffReader::default();
            text.as_bytes().chunks(size).for_each(|piece| reader.take(piece));
            let (versions, doubtful) = reader.finish();
            assert_eq!(versions, 2);
            let [one] = doubtful.as_slice() else { panic!("{doubtful:?}") };
            assert_eq!((one.commit.as_str(), one.removed, one.path.as_str()), ("1", Some(9), "images/base.lock.hcl"));
            assert_eq!(one.blobs, ("aa".to_owned(), "bb".to_owned()));
        }
    }
}
