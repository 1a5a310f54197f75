//! The conductor: the only place that knows the order. Not linked in this tree yet.

use crate::{
    config::request::{CommitRequest, ProbeRequest, SweepRequest, ValidateRequest},
    exit::Exit,
};

/// Why a command could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The conductor is not part of this build.
    #[error("`assay {0}` is not linked yet")]
    NotLinked(&'static str),
}

/// Runs `assay validate`.
pub fn validate(_request: ValidateRequest) -> Result<Exit, RunError> {
    Err(RunError::NotLinked("validate"))
}

/// Runs `assay probe`.
pub fn probe(_request: ProbeRequest) -> Result<Exit, RunError> {
    Err(RunError::NotLinked("probe"))
}

/// Runs `assay commit`.
pub fn commit(_request: CommitRequest) -> Result<Exit, RunError> {
    Err(RunError::NotLinked("commit"))
}

/// Runs `assay sweep`.
pub fn sweep(_request: SweepRequest) -> Result<Exit, RunError> {
    Err(RunError::NotLinked("sweep"))
}
