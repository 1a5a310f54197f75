//! `assay commit`: a run's candidates and evidence, committed on top of the remote's branch, tagged, and pushed in one atomic push. It owns
//! the loop that makes a rerun change nothing and a lost race start over from parsed data; it refuses to force, and to touch the
//! user's work tree, index and checked-out branch.

use std::{path::PathBuf, time::Duration};

use super::{
    branch::{self, BranchError},
    candidate_file,
    git::{GitEnvironment, GitError},
    hcl_text::HclError,
    intake::{self, ImageSubmission, IntakeError, ManifestIntake},
    local, message,
    plan::{PlanError, TreePlan, plan, read_candidate},
    race::{PushOutcome, PushRace},
    remote::RemoteReferences,
    repository::Repository,
    tag_place::{self, TagPlace},
    tag_statement::{self, TagStatement},
    write::ALL_TAGS,
};
use assay_model::{Candidate, ManifestRuns, cause::chain, exit::ExitStatus};

/// What to commit, and where to.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The manifest file.
    pub manifest: PathBuf,
    /// The runs to commit; all of them in one commit.
    pub runs: ManifestRuns,
    /// A folder inside the repository.
    pub repository: PathBuf,
    /// The branch; by default the one checked out, else what CI says.
    pub branch: Option<String>,
    /// The remote, a name or URL; by default git's own choice, else `origin`.
    pub remote: Option<String>,
    /// Whether to push. Without: see [`CommitChange::Kept`].
    pub push: bool,
    /// What git and the CI variables are read from; usually `environment_of_process`.
    pub environment: GitEnvironment,
    /// How long a race is run.
    pub patience: RacePatience,
}

/// How often and how long a lost push race is run again: until both are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RacePatience {
    /// At least so many tries.
    pub tries: u32,
    /// At least so long.
    pub time: Duration,
}

impl Default for RacePatience {
    fn default() -> Self {
        Self { tries: 20, time: Duration::from_secs(300) }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitOutcome {
    /// The branch.
    pub branch: String,
    /// The remote without credentials; `None` where nothing was pushed.
    pub remote: Option<String>,
    /// The commit that holds the candidates.
    pub commit: String,
    /// What changed.
    pub change: CommitChange,
    /// The annotated tags, in the order of `candidates`.
    pub tags: Vec<TagOutcome>,
    /// The candidates as they now stand in git, other builds of the run merged in.
    pub candidates: Vec<Candidate>,
    /// Paths that the commit wrote or took away; empty when nothing had to change.
    pub files: Vec<String>,
    /// Builds that were not committed though every run was asked for.
    pub left: Vec<LeftOut>,
    /// What the user should know of tags that stand where these belong.
    pub warnings: Vec<String>,
    /// How many pushes were tried.
    pub tries: u32,
}

/// A build that was not committed beside others that were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Why, with place and cure.
    pub why: String,
    /// The exit code that it alone would end with.
    pub exit: ExitStatus,
}

impl From<IntakeError> for LeftOut {
    fn from(error: IntakeError) -> Self {
        Self { why: chain(&error), exit: LedgerError::Intake(error).exit() }
    }
}

/// What changed in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitChange {
    /// Branch and tags were pushed; the local branch is where it was.
    Pushed,
    /// Everything was there already: nothing was written.
    AlreadyThere,
    /// Not pushed (`--no-push`). The commit stands under a reference of its own, so that it is not collected.
    Kept {
        /// `refs/assay/<image>/<run>`.
        reference: String,
        /// Whether the local branch was moved to it: only when no work tree has it checked out.
        moved_branch: bool,
        /// The command that takes the commit into the checked-out branch, work tree included; where the branch was not moved.
        cure: Option<String>,
    },
}

/// One annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagOutcome {
    /// `<image>/<state>/<yyyymmdd>-<run>`, with `-2` and so on where somebody else took that.
    pub name: String,
    /// Made now; otherwise it was there, for the same run's AMIs.
    pub created: bool,
}

/// Why nothing, or not everything, was committed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The manifest or its evidence cannot be committed.
    #[error("nothing was committed")]
    Intake(#[from] IntakeError),
    /// No branch.
    #[error("nothing was committed")]
    Branch(#[from] BranchError),
    /// The repository.
    #[error("git in {folder} could not do what was asked")]
    Git {
        /// Where git ran.
        folder: PathBuf,
        /// What failed.
        #[source]
        source: Box<GitError>,
    },
    /// A file of a commit that was needed.
    #[error("a file of commit {commit} is not as assay wrote it; restore it from the history (git log -p -- {})", .source.file)]
    Unreadable {
        /// The commit.
        commit: String,
        /// Which file, and why.
        #[source]
        source: Box<HclError>,
    },
    /// What is in git does not go with it.
    #[error("nothing was committed to {branch}")]
    Plan {
        /// The branch.
        branch: String,
        /// Why.
        #[source]
        source: Box<PlanError>,
    },
    /// A hook or a protected branch.
    #[error(
        "{remote} refused the push to {branch}; nothing was changed. Push to a branch that this job may push to (assay commit --branch; where main takes only pull requests: --open-branch), or allow it. The remote said:\n{words}"
    )]
    Refused {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// Its words.
        words: String,
    },
    /// The protected branch is not there.
    #[error("{remote} has no branch {branch}; name the protected branch in assay.hcl: git {{ branch = \"…\" }}")]
    NoBranch {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// The branch was there when this clone was made, and is no more.
    #[error(
        "{remote} no longer has the branch {branch}, which this clone knows from it; nothing was changed. Most likely it was merged, and what is due is \
         built where it was merged to. To make the branch anew: git fetch --prune {remote}, then run it again"
    )]
    BranchGone {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// The open branch neither holds the protected branch's tip nor is held by it.
    #[error(
        "{branch} at {remote} was begun before {protected} moved; nothing was changed. Merge or close its pull request and delete the branch \
         (git push {remote} --delete {branch}), or name another with --open-branch"
    )]
    StaleBranch {
        /// The remote.
        remote: String,
        /// The open branch.
        branch: String,
        /// The protected branch.
        protected: String,
    },
    /// Which of two branches holds the other does not show in this clone.
    #[error(
        "whether {protected} holds {branch} cannot be told: this clone is shallow; nothing was changed. Fetch the history (git fetch --unshallow; GitHub \
         Actions: fetch-depth: 0; GitLab: GIT_DEPTH: 0), and run it again"
    )]
    ShallowHistory {
        /// The open branch.
        branch: String,
        /// The protected branch.
        protected: String,
    },
    /// Others were always faster.
    #[error("{branch} at {remote} moved under each of {tries} pushes; nothing was changed. Run it again")]
    Raced {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// How many.
        tries: u32,
    },
    /// The remote cannot be reached, or not by us.
    #[error(
        "{remote} cannot be used; run it again when it can: running again is safe whatever was pushed. git said:\n{words}"
    )]
    Unreachable {
        /// The remote.
        remote: String,
        /// git's words.
        words: String,
    },
}

impl LedgerError {
    /// A failure of git in a repository.
    pub(super) fn git(repository: &Repository, source: GitError) -> Self {
        Self::Git { folder: repository.git().folder().to_owned(), source: Box::new(source) }
    }

    /// A failure of what was planned for a branch.
    pub(super) fn plan(branch: &str, source: impl Into<PlanError>) -> Self {
        Self::Plan { branch: branch.to_owned(), source: Box::new(source.into()) }
    }

    /// The exit code of a command that ends so.
    pub fn exit(&self) -> ExitStatus {
        match self {
            Self::Intake(IntakeError::Nothing { .. }) => ExitStatus::Nothing,
            Self::Intake(IntakeError::Disagree { .. } | IntakeError::Merge { .. }) => ExitStatus::Conflict,
            Self::Intake(IntakeError::NeverSeen { .. }) | Self::Unreachable { .. } | Self::ShallowHistory { .. } => {
                ExitStatus::Undecided
            }
            Self::Plan { source, .. } if matches!(**source, PlanError::Git(_)) => ExitStatus::Usage,
            Self::Intake(_) | Self::Branch(_) | Self::Git { .. } | Self::NoBranch { .. } => ExitStatus::Usage,
            Self::Plan { .. }
            | Self::Unreadable { .. }
            | Self::Refused { .. }
            | Self::StaleBranch { .. }
            | Self::BranchGone { .. }
            | Self::Raced { .. } => ExitStatus::Conflict,
        }
    }
}

/// Commits runs of a manifest. Returns what was done and what was left out, or why nothing was; after any error running it again is safe.
pub async fn commit(request: &CommitRequest) -> Result<CommitOutcome, LedgerError> {
    let ManifestIntake { submissions, left } = intake::read(&request.manifest, request.runs)?;
    let committed = commit_all(request, submissions).await?;
    Ok(CommitOutcome { left: left.into_iter().map(LeftOut::from).collect(), ..committed })
}

async fn commit_all(request: &CommitRequest, submissions: Vec<ImageSubmission>) -> Result<CommitOutcome, LedgerError> {
    let in_git = |source| LedgerError::Git { folder: request.repository.clone(), source: Box::new(source) };
    let repository = Repository::open(&request.repository, &request.environment).await.map_err(in_git)?;
    let branch = branch::resolve(&repository, request.branch.as_deref(), &request.environment).await?;
    if !request.push {
        return local::commit(&repository, &branch, &submissions).await;
    }
    let remote = branch::remote_to_push(&repository, request.remote.as_deref(), &branch).await.map_err(in_git)?;
    let race = PushRace::new(repository, remote, request.patience);
    CommitWork { race, branch, submissions, pushed: None }.run().await
}

/// One commit on its way.
struct CommitWork {
    race: PushRace,
    branch: String,
    submissions: Vec<ImageSubmission>,
    /// The last commit that was sent, whatever the answer.
    pushed: Option<String>,
}

impl CommitWork {
    async fn run(&mut self) -> Result<CommitOutcome, LedgerError> {
        loop {
            if let Some(outcome) = self.turn().await? {
                return Ok(outcome);
            }
            self.race.wait(&self.branch).await?;
        }
    }

    /// Looks at the remote afresh, and pushes what is missing there. A push whose answer was lost is found here as already there. `None`: look again.
    async fn turn(&mut self) -> Result<Option<CommitOutcome>, LedgerError> {
        let Some((base, references)) = self.look().await? else { return Ok(None) };
        let branch = self.branch.clone();
        let in_git = |error: GitError| LedgerError::plan(&branch, error);
        let planned = plan(self.race.repository(), base.as_deref(), &self.submissions).await;
        let plan = planned.map_err(|error| LedgerError::plan(&branch, error))?;
        let Some((tags, warnings)) = self.tags(&plan.candidates, &references).await? else { return Ok(None) };
        let commit = self.commit_object(base.as_deref(), &plan).await.map_err(in_git)?;
        let mut refspecs = Vec::new();
        if plan.changed || !references.contains_key(&self.branch_reference()) {
            refspecs.push(format!("{commit}:{}", self.branch_reference()));
        }
        for (candidate, tag) in tags.iter().filter(|(_, tag)| tag.created) {
            let words = message::of_tag(candidate);
            let object = self.race.repository().tag_object(&tag.name, &commit, &words).await.map_err(in_git)?;
            refspecs.push(format!("{object}:refs/tags/{}", tag.name));
        }
        let tags = tags.into_iter().map(|(_, tag)| tag).collect();
        let outcome = CommitOutcome { warnings, ..self.outcome(commit, plan, tags) };
        if refspecs.is_empty() {
            return Ok(Some(outcome));
        }
        self.pushed = Some(outcome.commit.clone());
        match self.race.push(&self.branch, &refspecs).await? {
            PushOutcome::Done(_) => {
                Ok(Some(CommitOutcome { change: CommitChange::Pushed, tries: self.race.tries(), ..outcome }))
            }
            PushOutcome::Raced | PushOutcome::Unknown => Ok(None),
        }
    }

    /// The commit that everything goes on top of, and what the remote has. `None`: look again.
    async fn look(&mut self) -> Result<Option<(Option<String>, RemoteReferences)>, LedgerError> {
        let branch = self.branch_reference();
        let Some(references) = self.race.references(&[&branch, ALL_TAGS]).await? else { return Ok(None) };
        let Some(tip) = references.get(&branch).cloned() else {
            // Pushed anew, a branch that was merged and deleted meanwhile would hold a candidate that nobody ever merges.
            let known = format!("refs/remotes/{}/{}", self.race.shown_remote(), self.branch);
            if self.race.commit_of(&known).await?.is_some() {
                return Err(LedgerError::BranchGone { remote: self.race.shown_remote(), branch: self.branch.clone() });
            }
            // A branch that the remote does not have yet begins where this checkout is.
            let base = match self.race.commit_of(&branch).await? {
                Some(local) => Some(local),
                None => self.race.commit_of("HEAD").await?,
            };
            return Ok(Some((base, references)));
        };
        Ok(self.race.bring(&branch, &tip).await?.then_some((Some(tip), references)))
    }

    /// Which tags there are and which are to be made, and warnings. `None`: look again.
    async fn tags(
        &mut self,
        candidates: &[Candidate],
        references: &RemoteReferences,
    ) -> Result<Option<(Vec<(Candidate, TagOutcome)>, Vec<String>)>, LedgerError> {
        let mut tags = Vec::new();
        let mut warnings = Vec::new();
        for candidate in candidates {
            let says = async |name: &str| self.tag_holds(references, name, candidate).await;
            let Some((place, words)) = tag_place::find(references, &message::tag_name(candidate), says).await? else {
                return Ok(None);
            };
            warnings.extend(words);
            let tag = match place {
                TagPlace::There(name) => TagOutcome { name, created: false },
                TagPlace::Free(name) => TagOutcome { name, created: true },
                TagPlace::Blocked => continue,
            };
            tags.push((candidate.clone(), tag));
        }
        Ok(Some((tags, warnings)))
    }

    /// Whether the remote's tag of this name is of this run's AMIs: by its words, or, where it has none of ours, by the candidate file in its commit. `None`: look
    /// again.
    async fn tag_holds(
        &mut self,
        references: &RemoteReferences,
        name: &str,
        candidate: &Candidate,
    ) -> Result<Option<bool>, LedgerError> {
        let Some(text) = self.race.tag_text(references, name).await? else { return Ok(None) };
        if text.is_some_and(|text| names_part_of(&text, name, candidate)) {
            return Ok(Some(true));
        }
        let reference = format!("refs/tags/{name}");
        let commit = references.get(&format!("{reference}^{{}}")).or_else(|| references.get(&reference));
        let Some(commit) = commit else { return Ok(Some(false)) };
        if !self.race.bring(&reference, commit).await? {
            return Ok(None);
        }
        holds_part_of(self.race.repository(), commit, candidate).await.map(Some)
    }

    /// A new commit, or the one that brought what is already there.
    async fn commit_object(&self, base: Option<&str>, plan: &TreePlan) -> Result<String, GitError> {
        let repository = self.race.repository();
        match base {
            Some(tip) if !plan.changed => match plan.candidates.first() {
                Some(candidate) => repository.last_change(tip, &candidate_file::path(candidate)).await,
                None => Ok(tip.to_owned()),
            },
            _ => repository.commit_tree(&plan.tree, base, &message::of_commit(&plan.candidates)).await,
        }
    }

    fn outcome(&self, commit: String, plan: TreePlan, tags: Vec<TagOutcome>) -> CommitOutcome {
        // A push whose answer was lost, or whose tag only was missing.
        let change =
            if self.pushed.as_ref() == Some(&commit) { CommitChange::Pushed } else { CommitChange::AlreadyThere };
        CommitOutcome {
            branch: self.branch.clone(),
            remote: Some(self.race.shown_remote()),
            commit,
            change,
            tags,
            candidates: plan.candidates,
            files: plan.files,
            left: Vec::new(),
            warnings: Vec::new(),
            tries: self.race.tries(),
        }
    }

    fn branch_reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

/// Whether a tag's words are of this run, and of no AMI that the candidate does not hold.
pub(super) fn names_part_of(text: &str, name: &str, candidate: &Candidate) -> bool {
    let said = tag_statement::message_of(text, name).and_then(TagStatement::of_message);
    let due = TagStatement::of_message(&message::of_tag(candidate));
    said.zip(due).is_some_and(|(said, due)| said.is_part_of(&due))
}

/// Whether the candidate file in a tagged commit is of this run's AMIs.
pub(super) async fn holds_part_of(
    repository: &Repository,
    commit: &str,
    candidate: &Candidate,
) -> Result<bool, LedgerError> {
    match read_candidate(repository, commit, &candidate_file::path(candidate)).await {
        Ok(tagged) => Ok(tagged.is_some_and(|tagged| tagged.is_part_of(candidate))),
        // What assay did not write is not assay's word.
        Err(PlanError::File(_)) => Ok(false),
        Err(error) => Err(LedgerError::plan(commit, error)),
    }
}
