//! `assay commit --no-push`: the same commit, kept in the local repository. It moves the local branch only where that cannot surprise: a
//! branch that some work tree has checked out would show the new files as deleted there, so it stays, and the outcome names the
//! command that takes the commit in. The commit is kept from collection under `refs/assay/<image>/<run>`.

use super::{
    commit::{CommitChange, CommitOutcome, LedgerError, TagOutcome, holds_part_of, names_part_of},
    git::GitError,
    intake::ImageSubmission,
    message,
    plan::{TreePlan, plan},
    remote::RemoteReferences,
    repository::Repository,
    tag_place::{self, TagPlace},
};
use assay_model::Candidate;

/// Commits `submissions` on top of the local branch (or of HEAD, where it does not exist), tags it locally, and says where it is.
pub(crate) async fn commit(
    repository: &Repository,
    branch: &str,
    submissions: &[ImageSubmission],
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
    let (tags, warnings) = tag(repository, &planned, &commit).await?;
    let checked_out = repository.is_checked_out(branch).await.map_err(in_git)?;
    let moves = !checked_out && tip.as_deref() != Some(commit.as_str());
    if moves {
        repository.update_ref(&branch_reference, &commit, tip.as_deref()).await.map_err(in_git)?;
    }
    let behind = checked_out && tip.as_deref() != Some(commit.as_str());
    let change = if planned.changed || moves || tags.iter().any(|tag| tag.created) {
        let cure = behind.then(|| format!("git merge --ff-only {reference}"));
        CommitChange::Kept { reference, moved_branch: moves, cure }
    } else {
        CommitChange::AlreadyThere
    };
    let TreePlan { candidates, files, .. } = planned;
    let (branch, left) = (branch.to_owned(), Vec::new());
    Ok(CommitOutcome { branch, remote: None, commit, change, tags, candidates, files, left, warnings, tries: 0 })
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

fn kept_reference(submissions: &[ImageSubmission]) -> String {
    submissions
        .first()
        .map(|s| format!("refs/assay/{}/{}", s.candidate.image, s.candidate.run))
        .unwrap_or_else(|| "refs/assay/none".to_owned())
}

/// Makes the tags that are missing here; what stands in their places is a warning.
async fn tag(
    repository: &Repository,
    plan: &TreePlan,
    commit: &str,
) -> Result<(Vec<TagOutcome>, Vec<String>), LedgerError> {
    let in_git = |source| LedgerError::git(repository, source);
    let references = repository.local_tags().await.map_err(in_git)?;
    let (mut tags, mut warnings) = (Vec::new(), Vec::new());
    for candidate in &plan.candidates {
        let says = async |name: &str| holds(repository, &references, name, candidate).await.map(Some);
        let found = tag_place::find(&references, &message::tag_name(candidate), says).await?;
        let Some((place, words)) = found else { continue };
        warnings.extend(words);
        match place {
            TagPlace::There(name) => tags.push(TagOutcome { name, created: false }),
            TagPlace::Free(name) => {
                let object = repository.tag_object(&name, commit, &message::of_tag(candidate)).await.map_err(in_git)?;
                repository.update_ref(&format!("refs/tags/{name}"), &object, None).await.map_err(in_git)?;
                tags.push(TagOutcome { name, created: true });
            }
            TagPlace::Blocked => {}
        }
    }
    Ok((tags, warnings))
}

async fn holds(
    repository: &Repository,
    references: &RemoteReferences,
    name: &str,
    candidate: &Candidate,
) -> Result<bool, LedgerError> {
    let in_git = |source| LedgerError::git(repository, source);
    let Some(object) = references.get(&format!("refs/tags/{name}")) else { return Ok(false) };
    let text = repository.tag_text(object).await.map_err(in_git)?;
    if text.is_some_and(|text| names_part_of(&text, name, candidate)) {
        return Ok(true);
    }
    match repository.commit_of(object).await.map_err(in_git)? {
        Some(commit) => holds_part_of(repository, &commit, candidate).await,
        None => Ok(false),
    }
}
