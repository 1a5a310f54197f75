//! The line on which a run tells its events. It owns that telling never blocks and never fails; it refuses to render.

use assay_model::{RunEvent, TargetEvidence};

/// Where events go. Sending never blocks and never fails: a reader that went away does not stop a run.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(tokio::sync::mpsc::UnboundedSender<RunEvent>);

impl EventSender {
    /// A sender and the end that a renderer reads.
    pub(crate) fn channel() -> (Self, tokio::sync::mpsc::UnboundedReceiver<RunEvent>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells `event`.
    pub(crate) fn tell(&self, event: RunEvent) {
        // The receiver may be gone: then nobody is listening, which is no reason to stop.
        let _gone = self.0.send(event);
    }

    /// Tells a note.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.tell(RunEvent::Note { text: text.into() });
    }

    /// Tells a warning.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.tell(RunEvent::Warning { text: text.into() });
    }

    /// Tells that a target is judged, after every remarkable property.
    pub(crate) fn judged(&self, target: &TargetEvidence) {
        for check in target.remarkable() {
            self.tell(RunEvent::Check { target: target.target.clone(), check: Box::new(check.clone()) });
        }
        self.tell(RunEvent::Judged {
            target: target.target.clone(),
            verdict: target.verdict,
            host_key: target.host_key,
            reason: target.undecided.as_ref().map(|u| u.reason.clone()),
        });
    }
}
