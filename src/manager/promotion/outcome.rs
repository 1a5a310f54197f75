//! How a promotion or another move ended. It owns the words of refusals and what they amount to; it refuses to render.

use assay_aws::{cloud::CloudError, registry::RepairedImage};
use assay_ledger::{LedgerError, WrittenChange, books::WriteError};
use assay_model::{AmiRef, ImageName, ImageState, RunId, exit::ExitStatus};

/// One reason why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveRefusal {
    /// What it is about: a file, an AMI, a run.
    pub about: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl MoveRefusal {
    /// A reason.
    pub(crate) fn new(about: impl ToString, reason: impl Into<String>) -> Self {
        Self { about: about.to_string(), reason: reason.into() }
    }
}

impl std::fmt::Display for MoveRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.about, self.reason)
    }
}

/// Why a lock was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromotionError {
    /// Every reason at once.
    #[error("image {image}: nothing was written, for {} reason{}", .refusals.len(), if .refusals.len() == 1 { "" } else { "s" })]
    Refused {
        /// The image.
        image: ImageName,
        /// The run, where one was meant.
        run: Option<RunId>,
        /// Why.
        refusals: Vec<MoveRefusal>,
    },
    /// There is no run to do it with.
    #[error("image {image}: {why}")]
    Nothing {
        /// The image.
        image: ImageName,
        /// What was looked for.
        why: String,
    },
    /// A file of the command line cannot be used.
    #[error("{0}")]
    Usage(String),
    /// Copies are not there yet; the lock was not touched.
    #[error("image {image}, run {run}: nothing was written, since its AMIs are not copied yet; run it again. {}", .problems.join("; "))]
    Copying {
        /// The image.
        image: ImageName,
        /// The run.
        run: RunId,
        /// What EC2 said.
        problems: Vec<String>,
    },
    /// git.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// EC2.
    #[error("nothing was written")]
    Cloud(#[from] CloudError),
}

impl PromotionError {
    /// The exit code that this amounts to.
    pub(crate) fn exit(&self) -> ExitStatus {
        match self {
            Self::Refused { .. } => ExitStatus::Conflict,
            Self::Nothing { .. } => ExitStatus::Nothing,
            Self::Usage(_) => ExitStatus::Usage,
            Self::Copying { .. } | Self::Cloud(_) => ExitStatus::Undecided,
            Self::Ledger(error) => error.exit(),
        }
    }

    /// A refusal with one reason.
    pub(super) fn refused(
        image: &ImageName,
        run: impl Into<Option<RunId>>,
        about: impl ToString,
        why: impl Into<String>,
    ) -> Self {
        Self::Refused { image: image.clone(), run: run.into(), refusals: vec![MoveRefusal::new(about, why)] }
    }
}

impl From<WriteError<PromotionError>> for PromotionError {
    fn from(error: WriteError<PromotionError>) -> Self {
        match error {
            WriteError::Edit(error) => error,
            WriteError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// What became of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockChange {
    /// The protected branch says it now.
    Made,
    /// It said so before.
    Already,
    /// Another branch says it (`--open-branch`); it counts once that is merged, and nothing else was changed.
    Proposed,
}

/// A move that the lock holds.
#[derive(Debug)]
pub(crate) struct MovedRun {
    /// The image.
    pub image: ImageName,
    /// The run that was moved.
    pub run: RunId,
    /// Its state now.
    pub state: ImageState,
    /// What became of the lock.
    pub change: LockChange,
    /// The commit, tags and branch.
    pub written: WrittenChange,
    /// Every AMI that was looked at, and what was changed on it.
    pub amis: Vec<RepairedImage>,
    /// AMIs that were copied for this move.
    pub copied: Vec<AmiRef>,
    /// What else was done: shares, pointers.
    pub done: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the cloud still lacks. The lock holds the move: running the command again goes on.
    pub missing: Vec<String>,
}

impl MovedRun {
    /// The exit code that this amounts to.
    pub(crate) fn exit(&self) -> ExitStatus {
        if self.missing.is_empty() { ExitStatus::Done } else { ExitStatus::Undecided }
    }

    /// Adds what became of AMIs. Those of `run` must be there; others may have been pruned.
    pub(super) fn settled(&mut self, of: RunId, repaired: Vec<RepairedImage>) {
        for one in &repaired {
            if let Some(problem) = &one.problem {
                self.missing.push(format!("{}: {problem}", one.ami));
            }
            if one.gone && of == self.run && self.state != ImageState::Revoked {
                self.missing.push(format!("{}: does not exist any more", one.ami));
            }
        }
        self.amis.extend(repaired);
    }
}
