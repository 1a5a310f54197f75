//! Packer's Ui as the place where a run's events are shown. It owns which call shows which line; it refuses to hold anything up: when Packer is gone
//! the events are read and dropped. A Packer that is busy is not gone: its Ui waits while a person is asked something, and shows the line afterwards.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::report::event_lines::{self, LineWeight};
use assay_model::RunEvent;
use packer_plugin::{CallError, Ui};

/// Shows events until the last sender is gone.
pub(super) async fn show(ui: Ui, mut events: UnboundedReceiver<RunEvent>) {
    let mut listening = true;
    while let Some(event) = events.recv().await {
        if listening {
            listening = show_one(&ui, &event).await;
        }
    }
}

/// Whether Packer still listens.
async fn show_one(ui: &Ui, event: &RunEvent) -> bool {
    for (weight, line) in event_lines::lines(event) {
        let line = unlike_a_crash(&line);
        let shown = match weight {
            LineWeight::Heading => ui.say(&line).await,
            // Packer's SDK calls it deprecated; one without it shows the line another way.
            LineWeight::Plain => match ui.message(&line).await {
                Err(CallError::Remote(_)) => ui.say(&line).await,
                shown => shown,
            },
            LineWeight::Bad => ui.error(&line).await,
        };
        if shown == Err(CallError::Closed) {
            return false;
        }
    }
    let Some((category, arguments)) = event_lines::machine_row(event) else { return true };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ui.machine(&category, &arguments).await != Err(CallError::Closed)
}

/// A text that Packer does not take for the end of a crashed plugin: it looks for these words in all that it logs, whoever said them (panicwrap 1.0.0, `trackPanic`), and what a host or an
/// external suite printed may well hold them.
pub(super) fn unlike_a_crash(text: &str) -> String {
    text.replace("panic:", "panic\\x3a").replace("fatal error: fault", "fatal error\\x3a fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_crash_are_shown_another_way() {
        let text = "undecided: the suite said panic: runtime error, and fatal error: fault";
        let shown = unlike_a_crash(text);
        assert_eq!(shown, "undecided: the suite said panic\\x3a runtime error, and fatal error\\x3a fault");
    }
}
