//! Annotated tags: every vetted and gold entry has its own, at a commit of the branch whose lock holds the entry, with the entry's words.

use std::collections::BTreeSet;

use super::{Finding, Image, Verified, VerifyRequest, in_git};
use crate::{
    ledger::{
        Books, LedgerError, branch, lock_file, lock_tag, race::is_tag, remote::References, words::redact, write::NewTag,
    },
    model::lock::{Lock, LockEntry},
};

/// A tag that must be.
struct Due<'a> {
    tag: NewTag,
    lock: &'a Lock,
    entry: &'a LockEntry,
}

/// Checks the tags of the remote, or the local ones where a commit was named.
pub async fn check(
    books: &Books,
    request: &VerifyRequest,
    images: &[Image],
    verified: &mut Verified,
) -> Result<(), LedgerError> {
    let due: Vec<Due<'_>> = images
        .iter()
        .filter_map(|image| image.lock.as_ref())
        .flat_map(|lock| lock.entries.iter().map(move |entry| (lock, entry)))
        .filter(|(_, entry)| super::is_tagged(entry.state))
        .map(|(lock, entry)| Due { tag: lock_tag(lock, entry), lock, entry })
        .collect();
    let references = references(books, request, &due).await?;
    let strays = strays(books, &due, &references).await?;
    for one in &due {
        verified.tags += 1;
        if let Err((message, cure)) = tag(books, request, one, &references, &strays).await? {
            verified.findings.push(Finding { place: format!("refs/tags/{}", one.tag.name), line: None, message, cure });
        }
    }
    Ok(())
}

/// What tags there are; those of the remote are brought here as objects.
async fn references(books: &Books, request: &VerifyRequest, due: &[Due<'_>]) -> Result<References, LedgerError> {
    let repository = books.repository();
    if request.at.is_some() {
        return repository.local_tags().await.map_err(in_git(repository));
    }
    let remote = branch::remote_of_protected(repository, request.books.remote.as_deref(), &request.books.branch).await;
    let remote = remote.map_err(in_git(repository))?;
    let unreachable =
        |error: crate::ledger::GitError| LedgerError::Unreachable { remote: redact(&remote), words: error.to_string() };
    let references = repository.remote_references(&remote, &["refs/tags/*/*-*"]).await.map_err(unreachable)?;
    let mut missing = Vec::new();
    for one in due {
        let name = format!("refs/tags/{}", one.tag.name);
        if references.contains_key(&name) {
            missing.push(name);
        }
    }
    if !missing.is_empty() {
        repository.fetch_all(&remote, &missing).await.map_err(unreachable)?;
    }
    Ok(references)
}

/// Tagged commits that are not in the branch's history.
async fn strays(books: &Books, due: &[Due<'_>], references: &References) -> Result<BTreeSet<String>, LedgerError> {
    let commits: Vec<&str> = due
        .iter()
        .filter_map(|one| references.get(&format!("refs/tags/{}^{{}}", one.tag.name)).map(String::as_str))
        .collect();
    let repository = books.repository();
    repository.not_in(&commits, books.commit()).await.map_err(in_git(repository))
}

/// What is wrong with one tag: in words, and the cure.
async fn tag(
    books: &Books,
    request: &VerifyRequest,
    due: &Due<'_>,
    references: &References,
    strays: &BTreeSet<String>,
) -> Result<Result<(), (String, String)>, LedgerError> {
    let repository = books.repository();
    let name = format!("refs/tags/{}", due.tag.name);
    let (image, state, run) = (&due.lock.image, due.entry.state, due.entry.run);
    let anew =
        format!("git push --delete the remote's tag, then assay promote --image {image} --to {state} makes it anew");
    let wrong = |message: String, cure: &str| Ok(Err((message, cure.to_owned())));
    let Some(object) = references.get(&name) else {
        let cure = format!("assay promote --image {image} --to {state} makes up for it");
        return wrong(format!("run {run} is {state} in the lock of {image}, and has no such tag"), &cure);
    };
    let Some(commit) = references.get(&format!("{name}^{{}}")) else {
        return wrong("it is a lightweight tag: nobody says who made it and why".to_owned(), &anew);
    };
    let text = repository.tag_text(object).await.map_err(in_git(repository))?.unwrap_or_default();
    if !is_tag(&text, &due.tag.name, &due.tag.message) {
        return wrong("its message is not what the lock says of the move".to_owned(), &anew);
    }
    if strays.contains(commit) {
        return wrong(format!("its commit {commit} is not in the branch's history"), &anew);
    }
    if !holds(books, commit, due).await? {
        return wrong(format!("the lock at its commit {commit} does not hold the entry"), &anew);
    }
    if request.signatures
        && let Err(words) = repository.verify_tag(object).await.map_err(in_git(repository))?
    {
        return wrong(
            format!("git does not trust its signature: {words}"),
            "set tag.gpgSign where assay promotes, and gpg.ssh.allowedSignersFile or the keyring here",
        );
    }
    Ok(Ok(()))
}

async fn holds(books: &Books, commit: &str, due: &Due<'_>) -> Result<bool, LedgerError> {
    let path = lock_file::path(&due.lock.image);
    let text = books.repository().read(commit, &path).await.map_err(in_git(books.repository()))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if text.contains(&lock_file::entry_text(due.entry)) {
        return Ok(true);
    }
    Ok(lock_file::read(&path, &text).is_ok_and(|lock| lock.entries.contains(due.entry)))
}
