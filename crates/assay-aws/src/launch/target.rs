//! The values of a launch: what is asked for, what is handed over, and why not.

use std::time::Instant;

use super::user_data::UserDataError;
use crate::{
    cloud::{CloudError, CloudResult},
    journal::JournalError,
};
use assay_config::{LaunchSettings, SshSettings};
use assay_model::{
    ImageName, PhaseTime, Provenance, RunId, TargetId, UndecidedKind,
    evidence::{RefusedLaunch, UndecidedReason},
};

/// What a fleet is launched for and how.
#[derive(Debug, Clone)]
pub struct FleetOrder {
    /// The run.
    pub run: RunId,
    /// The image line, for the tags.
    pub image: Option<ImageName>,
    /// Where the run came from, for the tags.
    pub provenance: Provenance,
    /// How to boot.
    pub launch: LaunchSettings,
    /// Port, interface and patience.
    pub ssh: SshSettings,
}

/// Why a fleet cannot even be prepared. Nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The user data does not fit or cannot be merged.
    #[error(transparent)]
    UserData(#[from] UserDataError),
    /// Our own address could not be learned.
    #[error(
        "the address that the temporary security group is to admit could not be learned: set temporary_security_group_source_cidrs"
    )]
    SourceUnknown(#[source] CloudError),
    /// Somebody else dials the instance.
    #[error(
        "temporary_security_group_source_cidrs must be set: with {option} the instance sees another address than this machine's, \
         which assay cannot know"
    )]
    SourceNotOurs {
        /// The option that makes it so.
        option: &'static str,
    },
    /// A key could not be made.
    #[error("an ed25519 key could not be made")]
    Key(#[source] ssh_key::Error),
    /// The record cannot be written, and without it nothing may be created.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// An instance that runs and has an address; its port may not answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningInstance {
    /// `i-…`.
    pub id: String,
    /// e.g. `t3.small`.
    pub instance_type: String,
    /// Its availability zone, where EC2 says it.
    pub availability_zone: Option<String>,
    /// The name or address to dial, by `ssh_interface`.
    pub address: String,
    /// The port to dial.
    pub port: u16,
    /// The host key that was given to it, as `ssh-ed25519 AAAA…`; an image without cloud-init ignores it. `None`: it booted undisturbed, and its own key is
    /// to be read from the console.
    pub host_key: Option<String>,
}

/// What became of one target of the order.
#[derive(Debug, Clone)]
pub struct LaunchedTarget {
    /// Which target.
    pub target: TargetId,
    /// The instance, or why there is none.
    pub instance: Result<RunningInstance, UndecidedReason>,
    /// `launch` and `running`, as far as they were gone through.
    pub phases: Vec<PhaseTime>,
    /// Launches that EC2 had no room for, in order.
    pub refused: Vec<RefusedLaunch>,
    /// When its launch was begun, after waiting for a place: `ssh_timeout` counts from here.
    pub started: Instant,
}

/// No instance, of this kind, for this reason.
pub(super) fn undecided(kind: UndecidedKind, reason: impl Into<String>) -> UndecidedReason {
    UndecidedReason { kind, reason: reason.into() }
}

/// The run was cancelled before or while the instance came up.
pub(super) fn cancelled() -> UndecidedReason {
    undecided(UndecidedKind::Cancelled, "the run was cancelled")
}

/// What an error of EC2's means for the AMI under test: never that it failed.
pub(super) fn of_cloud(error: &CloudError) -> UndecidedReason {
    undecided(error.kind.undecided(), error.to_string())
}

/// Without its journal line nothing is created.
pub(super) fn of_journal(error: &JournalError) -> UndecidedReason {
    let source = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    undecided(UndecidedKind::Configuration, format!("{error}{source}"))
}

/// A creating call's outcome with what it says about the journal.
pub(super) struct CreateOutcome<T> {
    /// The last answer.
    pub(super) answer: CloudResult<T>,
    /// Whether an earlier try went unanswered: then even a refusal does not prove that nothing was created.
    pub(super) ambiguous: bool,
}
