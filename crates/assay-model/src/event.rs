//! What a run tells while it goes on. It owns the events' shape; `report` turns them into lines for a terminal, for Packer's Ui, or into JSON lines.

use serde::Serialize;

use super::{CheckEvidence, HostKeyPin, ImageState, Verdict};

/// One thing that happened. `target` is `region:ami-…` or `user@host:port`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The run began.
    Started {
        /// The run's ULID.
        run: String,
        /// What will be tested.
        targets: Vec<String>,
    },
    /// Something a reader should know, not tied to a verdict.
    Note {
        /// One line.
        text: String,
    },
    /// Something that will need a person.
    Warning {
        /// One line.
        text: String,
    },
    /// A target reached a phase.
    Phase {
        /// Which target.
        target: String,
        /// The phase's name, see [`super::PhaseTime`].
        phase: String,
        /// How long the phase took, in milliseconds.
        duration_ms: u64,
    },
    /// Nothing new for a while: what is being waited for.
    Waiting {
        /// Targets without a verdict.
        targets: Vec<String>,
        /// Seconds since the run began.
        seconds: u64,
    },
    /// A property that did not pass.
    Check {
        /// Which target.
        target: String,
        /// The property with expected and actual.
        check: Box<CheckEvidence>,
    },
    /// A target is judged.
    Judged {
        /// Which target.
        target: String,
        /// Its verdict.
        verdict: Verdict,
        /// How the host key was known.
        host_key: HostKeyPin,
        /// Why there is none; only when undecided.
        reason: Option<String>,
    },
    /// An AMI's tags were written and read back.
    Stamped {
        /// Which target.
        target: String,
        /// The state that it now has.
        state: ImageState,
    },
}
