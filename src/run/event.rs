//! What a run tells while it goes on. It owns the events' shape; `report` turns them into lines for a terminal, for Packer's Ui, or into JSON lines.

use serde::Serialize;

use crate::model::{CheckEvidence, HostKeyPin, State, TargetEvidence, Verdict};

/// One thing that happened. `target` is `region:ami-…` or `user@host:port`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
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
        /// The phase's name, see [`crate::model::Phase`].
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
        check: CheckEvidence,
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
        state: State,
    },
}

/// Where events go. Sending never blocks and never fails: a reader that went away does not stop a run.
#[derive(Debug, Clone)]
pub struct Events(tokio::sync::mpsc::UnboundedSender<Event>);

impl Events {
    /// A sender and the end that a renderer reads.
    pub fn channel() -> (Self, tokio::sync::mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells `event`.
    pub fn tell(&self, event: Event) {
        // The receiver may be gone: then nobody is listening, which is no reason to stop.
        let _gone = self.0.send(event);
    }

    /// Tells a note.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note { text: text.into() });
    }

    /// Tells a warning.
    pub fn warn(&self, text: impl Into<String>) {
        self.tell(Event::Warning { text: text.into() });
    }

    /// Tells that a target is judged, after every property that did not pass.
    pub fn judged(&self, target: &TargetEvidence) {
        use crate::model::Outcome::{Failed, Undecided};
        for check in target.checks.iter().filter(|c| matches!(c.outcome, Failed | Undecided)) {
            self.tell(Event::Check { target: target.target.clone(), check: check.clone() });
        }
        self.tell(Event::Judged {
            target: target.target.clone(),
            verdict: target.verdict,
            host_key: target.host_key,
            reason: target.undecided.as_ref().map(|u| u.reason.clone()),
        });
    }
}
