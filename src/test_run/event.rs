//! The line on which a run tells its events. It owns that telling never blocks and never fails; it refuses to render.

use assay_model::{Event, TargetEvidence};

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

    /// Tells that a target is judged, after every remarkable property.
    pub fn judged(&self, target: &TargetEvidence) {
        for check in target.remarkable() {
            self.tell(Event::Check { target: target.target.clone(), check: Box::new(check.clone()) });
        }
        self.tell(Event::Judged {
            target: target.target.clone(),
            verdict: target.verdict,
            host_key: target.host_key,
            reason: target.undecided.as_ref().map(|u| u.reason.clone()),
        });
    }
}
