//! Annotated tags: every vetted and gold entry has its own, at a commit of the branch whose lock holds the entry, with the entry's words.

use std::collections::BTreeSet;

use super::{CommittedImage, VerifyFinding, VerifyRequest, VerifyResult, in_git};
use crate::{
    LedgerError, LedgerSnapshot, branch, lock_file, lock_tag,
    remote::RemoteReferences,
    tag_place::{self, TagPlace},
    tag_statement,
    words::redact,
    write::{ALL_TAGS, NewTag},
};
use assay_model::{
    ImageName,
    lock::{Lock, LockEntry},
};

/// A tag that must be.
struct DueTag<'a> {
    tag: NewTag,
    lock: &'a Lock,
    entry: &'a LockEntry,
}

/// Checks the tags of the remote, or the local ones where a commit was named.
pub(super) async fn check(
    books: &LedgerSnapshot,
    request: &VerifyRequest,
    images: &[CommittedImage],
    verified: &mut VerifyResult,
) -> Result<(), LedgerError> {
    let due: Vec<DueTag<'_>> = images
        .iter()
        .filter_map(|image| image.lock.as_ref())
        .flat_map(|lock| lock.entries.iter().map(move |entry| (lock, entry)))
        .filter(|(_, entry)| super::is_tagged(entry.state))
        .map(|(lock, entry)| DueTag { tag: lock_tag(lock, entry), lock, entry })
        .collect();
    let references = references(books, request, &due).await?;
    let mut found = Vec::new();
    for one in due {
        verified.tags += 1;
        match named(books, &references, &one).await? {
            Ok(name) => found.push(FoundTag { due: one, name }),
            Err(finding) => verified.findings.push(finding),
        }
    }
    let strays = strays(books, &found, &references).await?;
    for one in &found {
        if one.name != one.due.tag.name {
            verified.findings.push(foreign(one));
        }
        if let Err((message, cure)) = tag(books, request, one, &references, &strays).await? {
            verified.findings.push(VerifyFinding {
                place: format!("refs/tags/{}", one.name),
                line: None,
                message,
                cure,
            });
        }
    }
    Ok(())
}

/// A tag that is there, and the name that it has.
struct FoundTag<'a> {
    due: DueTag<'a>,
    name: String,
}

/// The name under which the tag says what the lock says; else what is wrong.
async fn named(
    books: &LedgerSnapshot,
    references: &RemoteReferences,
    due: &DueTag<'_>,
) -> Result<Result<String, VerifyFinding>, LedgerError> {
    let repository = books.repository();
    let says = async |name: &str| {
        let Some(object) = references.get(&format!("refs/tags/{name}")) else { return Ok(Some(false)) };
        let text = repository.tag_text(object).await.map_err(in_git(repository))?;
        Ok(Some(text.is_some_and(|text| tag_statement::says(&text, name, &due.tag.message))))
    };
    let found = tag_place::find(references, &due.tag.name, says).await?;
    let (image, state, run) = (&due.lock.image, due.entry.state, due.entry.run);
    let finding = |message: String, cure: String| VerifyFinding {
        place: format!("refs/tags/{}", due.tag.name),
        line: None,
        message,
        cure,
    };
    let missing = format!("run {run} is {state} in the lock of {image}, and has no such tag");
    Ok(match found {
        Some((TagPlace::There(name), _)) => Ok(name),
        Some((TagPlace::Free(_), warnings)) if warnings.is_empty() => Err(finding(missing, makes_up(image))),
        Some((_, warnings)) => Err(finding(format!("{missing}: {}", warnings.join("; ")), makes_up(image))),
        None => Err(finding(missing, makes_up(image))),
    })
}

/// What makes the missing tags of an image.
fn makes_up(image: &ImageName) -> String {
    format!("assay promote --image {image} --to gold makes up for it")
}

/// What stands where the tag belongs.
fn foreign(found: &FoundTag<'_>) -> VerifyFinding {
    VerifyFinding {
        place: format!("refs/tags/{}", found.due.tag.name),
        line: None,
        message: format!("its message is not what the lock says of the move; the move's own tag is {}", found.name),
        cure: format!("look at it (git show {}), and delete it: assay did not make it", found.due.tag.name),
    }
}

/// What tags there are; those of the remote are brought here as objects.
async fn references(
    books: &LedgerSnapshot,
    request: &VerifyRequest,
    due: &[DueTag<'_>],
) -> Result<RemoteReferences, LedgerError> {
    let repository = books.repository();
    if request.at.is_some() {
        return repository.local_tags().await.map_err(in_git(repository));
    }
    let remote = branch::remote_of_protected(repository, request.books.remote.as_deref(), &request.books.branch).await;
    let remote = remote.map_err(in_git(repository))?;
    let unreachable =
        |error: crate::GitError| LedgerError::Unreachable { remote: redact(&remote), words: error.to_string() };
    let references = repository.remote_references(&remote, &[ALL_TAGS]).await.map_err(unreachable)?;
    let mut missing = Vec::new();
    for one in due {
        let name = format!("refs/tags/{}", one.tag.name);
        let beside = format!("{name}-");
        let named =
            references.range(name.clone()..).map(|(found, _)| found).take_while(|found| found.starts_with(&name));
        missing.extend(
            named
                .filter(|found| **found == name || found.starts_with(&beside))
                .filter(|f| !f.ends_with("^{}"))
                .cloned(),
        );
    }
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        repository.fetch_all(&remote, &missing).await.map_err(unreachable)?;
    }
    Ok(references)
}

/// Tagged commits that are not in the branch's history.
async fn strays(
    books: &LedgerSnapshot,
    found: &[FoundTag<'_>],
    references: &RemoteReferences,
) -> Result<BTreeSet<String>, LedgerError> {
    let commits: Vec<&str> = found
        .iter()
        .filter_map(|one| references.get(&format!("refs/tags/{}^{{}}", one.name)).map(String::as_str))
        .collect();
    let repository = books.repository();
    repository.not_in(&commits, books.commit()).await.map_err(in_git(repository))
}

/// What is wrong with one tag: in words, and the cure.
async fn tag(
    books: &LedgerSnapshot,
    request: &VerifyRequest,
    FoundTag { due, name }: &FoundTag<'_>,
    references: &RemoteReferences,
    strays: &BTreeSet<String>,
) -> Result<Result<(), (String, String)>, LedgerError> {
    let repository = books.repository();
    let reference = format!("refs/tags/{name}");
    let anew = format!(
        "git push REMOTE --delete {name}, then assay promote --image {} --to gold makes it anew",
        due.lock.image
    );
    let wrong = |message: String, cure: &str| Ok(Err((message, cure.to_owned())));
    let (Some(object), Some(commit)) = (references.get(&reference), references.get(&format!("{reference}^{{}}")))
    else {
        return wrong("it is a lightweight tag: nobody says who made it and why".to_owned(), &anew);
    };
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

async fn holds(books: &LedgerSnapshot, commit: &str, due: &DueTag<'_>) -> Result<bool, LedgerError> {
    let path = lock_file::path(&due.lock.image);
    let text = books.repository().read(commit, &path).await.map_err(in_git(books.repository()))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if text.contains(&lock_file::entry_text(due.entry)) {
        return Ok(true);
    }
    Ok(lock_file::read(&path, &text).is_ok_and(|lock| lock.entries.contains(due.entry)))
}
