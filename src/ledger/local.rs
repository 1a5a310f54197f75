//! `assay commit --no-push`: the same commit, kept in the local repository. It moves the local branch only where that cannot surprise: a
//! branch that some work tree has checked out would show the new files as deleted there, so it stays, and the outcome names the
//! command that takes the commit in. The commit is kept from collection under `refs/assay/<image>/<run>`.

use super::{
    commit::{Change, CommitOutcome, LedgerError, TagOutcome},
    git::GitError,
    intake::Submission,
    message,
    plan::{Plan, plan, read_candidate},
    repository::Repository,
};
use crate::ledger::candidate_file;

/// Commits `submissions` on top of the local branch (or of HEAD, where it does not exist), tags it locally, and says where it is.
pub async fn commit(
    repository: &Repository,
    branch: &str,
    submissions: &[Submission],
) -> Result<CommitOutcome, LedgerError> {
    let in_git = |source| LedgerError::git(repository, source);
    let branch_reference = format!("refs/heads/{branch}");
    let tip = repository.commit_of(&branch_reference).await.map_err(in_git)?;
    let start = match &tip {
        Some(tip) => Some(tip.clone()),
        None => repository.commit_of("HEAD").await.map_err(in_git)?,
    };
    let reference = kept_reference(submissions);
    let kept = repository.commit_of(&reference).await.map_err(in_git)?;
    let base = base(repository, start, kept.clone()).await.map_err(in_git)?;
    let planned =
        plan(repository, base.as_deref(), submissions).await.map_err(|source| LedgerError::plan(branch, source))?;
    let commit = match &base {
        Some(base) if !planned.changed => base.clone(),
        _ => {
            let words = message::of_commit(&planned.candidates);
            repository.commit_tree(&planned.tree, base.as_deref(), &words).await.map_err(in_git)?
        }
    };
    if planned.changed {
        repository.update_ref(&reference, &commit, kept.as_deref()).await.map_err(in_git)?;
    }
    let tags = tag(repository, &planned, &commit).await?;
    let checked_out = repository.is_checked_out(branch).await.map_err(in_git)?;
    let moves = !checked_out && tip.as_deref() != Some(commit.as_str());
    if moves {
        repository.update_ref(&branch_reference, &commit, tip.as_deref()).await.map_err(in_git)?;
    }
    let behind = checked_out && tip.as_deref() != Some(commit.as_str());
    let change = if planned.changed || moves || tags.iter().any(|tag| tag.created) {
        let cure = behind.then(|| format!("git merge --ff-only {reference}"));
        Change::Kept { reference, moved_branch: moves, cure }
    } else {
        Change::AlreadyThere
    };
    let Plan { candidates, files, .. } = planned;
    let (branch, left) = (branch.to_owned(), Vec::new());
    Ok(CommitOutcome { branch, remote: None, commit, change, tags, candidates, files, left, tries: 0 })
}

/// The earlier commit of this run, while it is still a continuation of the branch; else the branch.
async fn base(
    repository: &Repository,
    start: Option<String>,
    kept: Option<String>,
) -> Result<Option<String>, GitError> {
    match (start, kept) {
        (Some(start), Some(kept)) if repository.is_ancestor(&start, &kept).await? => Ok(Some(kept)),
        (None, kept) => Ok(kept),
        (start, _) => Ok(start),
    }
}

fn kept_reference(submissions: &[Submission]) -> String {
    submissions
        .first()
        .map(|s| format!("refs/assay/{}/{}", s.candidate.image, s.candidate.run))
        .unwrap_or_else(|| "refs/assay/none".to_owned())
}

async fn tag(repository: &Repository, plan: &Plan, commit: &str) -> Result<Vec<TagOutcome>, LedgerError> {
    let in_git = |source| LedgerError::git(repository, source);
    let mut tags = Vec::new();
    for candidate in &plan.candidates {
        let name = message::tag_name(candidate);
        let reference = format!("refs/tags/{name}");
        let there = repository.commit_of(&reference).await.map_err(in_git)?;
        if let Some(there) = &there {
            let path = candidate_file::path(candidate);
            let tagged =
                read_candidate(repository, there, &path).await.map_err(|source| LedgerError::plan(&name, source))?;
            if !tagged.is_some_and(|tagged| tagged.is_part_of(candidate)) {
                return Err(LedgerError::TagTaken { name });
            }
        } else {
            let object = repository.tag_object(&name, commit, &message::of_tag(candidate)).await.map_err(in_git)?;
            repository.update_ref(&reference, &object, None).await.map_err(in_git)?;
        }
        tags.push(TagOutcome { name, created: there.is_none() });
    }
    Ok(tags)
}
