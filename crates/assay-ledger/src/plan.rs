//! What has to change in one tree so that it holds a set of submissions. It owns the merge with what is there; it refuses to write
//! anything but blobs and trees.

use super::{
    candidate_file,
    git::GitError,
    hcl_text::HclError,
    intake::ImageSubmission,
    lock_file,
    merge::{MergeConflict, evidence_paths, merge},
    repository::{Repository, TreeChange},
};
use assay_model::{Candidate, Digest, ImageName, ImageState, RunId, lock::Lock};

/// Why the files in git and the submissions do not go together.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// git failed.
    #[error("the repository cannot be read or written")]
    Git(#[from] GitError),
    /// The file in git is not one that assay wrote.
    #[error("a file in git is not as assay wrote it; restore it from the history")]
    File(#[from] HclError),
    /// The file in git excludes ours.
    #[error("{path} in git excludes this build")]
    Merge {
        /// The candidate file.
        path: String,
        /// Which AMI.
        #[source]
        source: MergeConflict,
    },
    /// The run was moved into the lock with other AMIs.
    #[error(
        "run {run} of {image} is {state} in {path}, and this build's AMIs are not among those that it was moved in with; they cannot change any \
         more: build again, under a run of its own"
    )]
    MovedIn {
        /// The image line.
        image: ImageName,
        /// The run.
        run: RunId,
        /// What the lock says of it.
        state: ImageState,
        /// The lock file.
        path: String,
    },
    /// The candidate in git names evidence that is not there.
    #[error(
        "{path} in git names the evidence {digest}, which is not in images/evidence; restore it before committing more of this run"
    )]
    EvidenceGone {
        /// The candidate file.
        path: String,
        /// The digest that nothing has.
        digest: Digest,
    },
}

/// The new tree and what it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TreePlan {
    /// The tree's id.
    pub tree: String,
    /// Whether it differs from the base's.
    pub changed: bool,
    /// The candidates as they stand in the new tree; none for a run that is in the lock, whose candidate is there.
    pub candidates: Vec<Candidate>,
    /// Paths that are written or taken away.
    pub files: Vec<String>,
}

/// Plans `submissions` on top of the commit `base` (`None`: nothing is there yet).
pub(crate) async fn plan(
    repository: &Repository,
    base: Option<&str>,
    submissions: &[ImageSubmission],
) -> Result<TreePlan, PlanError> {
    let mut changes: Vec<TreeChange> = Vec::new();
    let mut candidates = Vec::new();
    for submission in submissions {
        if is_moved_in(repository, base, &submission.candidate).await? {
            continue;
        }
        let (candidate, more) = plan_one(repository, base, submission).await?;
        candidates.push(candidate);
        changes.extend(more);
    }
    let before = match base {
        Some(base) => Some(repository.tree_of(base).await?),
        None => None,
    };
    let tree = match (&before, changes.is_empty()) {
        (Some(before), true) => before.clone(),
        _ => repository.tree_with(base, &changes).await?,
    };
    let changed = before.as_deref() != Some(tree.as_str());
    Ok(TreePlan { tree, changed, candidates, files: changes.into_iter().map(|(path, _)| path).collect() })
}

/// Whether the lock holds these AMIs already: a build job that runs again after the promotion must not bring its candidate file back, nor take the
/// validation's evidence away. Fails where the lock holds the run with other AMIs.
async fn is_moved_in(repository: &Repository, base: Option<&str>, ours: &Candidate) -> Result<bool, PlanError> {
    let Some(base) = base else { return Ok(false) };
    let Some(lock) = read_lock(repository, base, &ours.image).await? else { return Ok(false) };
    let (Some(candidate), Some(state)) = (lock.candidate(ours.run), lock.state_of(ours.run)) else { return Ok(false) };
    if ours.is_part_of(candidate) {
        return Ok(true);
    }
    Err(PlanError::MovedIn { image: ours.image.clone(), run: ours.run, state, path: lock_file::path(&ours.image) })
}

async fn read_lock(repository: &Repository, commit: &str, image: &ImageName) -> Result<Option<Lock>, PlanError> {
    let path = lock_file::path(image);
    let Some(bytes) = repository.read(commit, &path).await? else { return Ok(None) };
    Ok(Some(lock_file::read_of(image, &path, &String::from_utf8_lossy(&bytes))?))
}

async fn plan_one(
    repository: &Repository,
    base: Option<&str>,
    submission: &ImageSubmission,
) -> Result<(Candidate, Vec<TreeChange>), PlanError> {
    let path = candidate_file::path(&submission.candidate);
    let there = match base {
        Some(base) => read_candidate(repository, base, &path).await?,
        None => None,
    };
    let merged = match &there {
        Some(there) => {
            merge(there, &submission.candidate).map_err(|source| PlanError::Merge { path: path.clone(), source })?
        }
        None => submission.candidate.clone(),
    };
    let mut changes = Vec::new();
    // Compared as data: a file that says the same is not rewritten for its layout.
    if there.as_ref() != Some(&merged) {
        let blob = repository.write_blob(candidate_file::write(&merged).as_bytes()).await?;
        changes.push((path.clone(), Some(blob)));
    }
    changes.extend(plan_evidence(repository, base, submission, (there.as_ref(), &merged), &path).await?);
    Ok((merged, changes))
}

/// The candidate at `path` in a commit, if there is one.
pub(crate) async fn read_candidate(
    repository: &Repository,
    commit: &str,
    path: &str,
) -> Result<Option<Candidate>, PlanError> {
    let Some(bytes) = repository.read(commit, path).await? else { return Ok(None) };
    Ok(Some(candidate_file::read(path, &String::from_utf8_lossy(&bytes))?))
}

async fn plan_evidence(
    repository: &Repository,
    base: Option<&str>,
    submission: &ImageSubmission,
    (before, merged): (Option<&Candidate>, &Candidate),
    path: &str,
) -> Result<Vec<TreeChange>, PlanError> {
    let there = evidence_there(repository, base, merged).await?;
    let wanted = evidence_paths(merged);
    let mut changes = Vec::new();
    for (place, digest) in &wanted {
        let ours = submission.evidence.iter().find(|(known, _)| known == digest);
        let blob = match (ours, there.iter().find(|known| known.digest == *digest)) {
            (_, Some(known)) => known.blob.clone(),
            (Some((_, bytes)), None) => repository.write_blob(bytes).await?,
            (None, None) => {
                return Err(PlanError::EvidenceGone { path: path.to_owned(), digest: digest.clone() });
            }
        };
        if !there.iter().any(|known| known.path == *place && known.blob == blob) {
            changes.push((place.clone(), Some(blob)));
        }
    }
    // Only what the candidate named before: a validation's evidence has a name of the same kind, and is not ours to take away.
    let named = before.map(evidence_paths).unwrap_or_default();
    let stale = there.iter().filter(|known| {
        let is_named = |paths: &[(String, Digest)]| paths.iter().any(|(place, _)| *place == known.path);
        is_named(&named) && !is_named(&wanted)
    });
    changes.extend(stale.map(|known| (known.path.clone(), None)));
    Ok(changes)
}

struct KnownEvidence {
    path: String,
    blob: String,
    digest: Digest,
}

/// The evidence files of this image and run in a commit.
async fn evidence_there(
    repository: &Repository,
    base: Option<&str>,
    candidate: &Candidate,
) -> Result<Vec<KnownEvidence>, GitError> {
    let Some(base) = base else { return Ok(Vec::new()) };
    let folder = format!("images/evidence/{}/", candidate.image);
    let run = candidate.run.to_string();
    let mut found = Vec::new();
    for (path, blob) in repository.list(base, &folder).await? {
        let name = path.strip_prefix(&folder).unwrap_or_default();
        let ours = name.strip_prefix(&run).is_some_and(|rest| rest.ends_with(".json") && !rest.contains('/'));
        if ours {
            let digest = Digest::of(&repository.blob(&blob).await?);
            found.push(KnownEvidence { path, blob, digest });
        }
    }
    Ok(found)
}
