//! What the commands that write the lock were asked to do: `assay promote`, `reject`, `retire`, `revoke`, `rollback`. Checked, plain requests; they own no behaviour.

use std::path::PathBuf;

use super::{file::GitDecl, request::OutputFormat, settings::AccessSettings};
use assay_model::{ImageName, RunId};

/// What all of them need to know.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// assay.hcl, absolute. It says where the protected branch is; what else counts is read from that branch.
    pub config: PathBuf,
    /// `git { … }`.
    pub git: GitDecl,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// `--open-branch`: push there instead.
    pub open_branch: Option<String>,
    /// `--reason`, never blank.
    pub reason: Option<String>,
    /// How to print the result.
    pub format: OutputFormat,
}

/// `assay promote`.
#[derive(Debug, Clone)]
pub struct PromoteRequest {
    /// Where and in whose name.
    pub ledgering: LedgerOptions,
    /// The images; at least one, all of them declared.
    pub images: Vec<ImageName>,
    /// Whether `--all` was given: an image without anything to promote is passed over.
    pub all: bool,
    /// The goal.
    pub to: RunGoal,
    /// `--run`; only with one image.
    pub run: Option<RunId>,
}

/// What a run is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunGoal {
    /// `--to vetted`, with the validation's evidence files, at least one.
    Vetted(Vec<PathBuf>),
    /// `--to gold`
    Gold,
}

/// `assay reject`, `retire`, `revoke`, `rollback`.
#[derive(Debug, Clone)]
pub struct MoveRequest {
    /// Where and in whose name.
    pub ledgering: LedgerOptions,
    /// The image.
    pub image: ImageName,
    /// Which move.
    pub what: RunMove,
}

/// A move other than a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMove {
    /// It did not pass.
    Reject {
        /// Which run.
        run: RunId,
        /// Lift deregistration protection too, whoever turned it on.
        release: bool,
    },
    /// It is set aside.
    Retire {
        /// Which run.
        run: RunId,
    },
    /// It must not be used.
    Revoke {
        /// Which run.
        run: RunId,
        /// From when on; absent: at once.
        at: Option<jiff::Timestamp>,
        /// Even if it is gold.
        force: bool,
    },
    /// What was gold before becomes it again.
    Rollback {
        /// Which run; absent: the newest that can.
        run: Option<RunId>,
    },
}
