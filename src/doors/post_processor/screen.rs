//! Packer's Ui as the place where a run's events are shown. It owns which call shows which line; it refuses to hold anything up: when Packer is gone
//! the events are read and dropped.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    model::Event,
    report::event_lines::{self, Weight},
    wire::Ui,
};

/// Shows events until the last sender is gone.
pub async fn show(ui: Ui, mut events: UnboundedReceiver<Event>) {
    let mut listening = true;
    while let Some(event) = events.recv().await {
        if listening {
            listening = show_one(&ui, &event).await;
        }
    }
}

/// Whether Packer still listens.
async fn show_one(ui: &Ui, event: &Event) -> bool {
    for (weight, line) in event_lines::lines(event) {
        let shown = match weight {
            Weight::Heading => ui.say(&line).await,
            Weight::Plain => ui.message(&line).await,
            Weight::Bad => ui.error(&line).await,
        };
        if shown.is_err() {
            return false;
        }
    }
    let Some((category, arguments)) = event_lines::machine_row(event) else { return true };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ui.machine(&category, &arguments).await.is_ok()
}
