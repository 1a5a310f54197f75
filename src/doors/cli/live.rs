//! A command at work: the runtime, Ctrl-C, and the events on stderr while it goes on. It owns how progress looks on a terminal; results go to stdout and
//! are the commands' own.

use std::{future::Future, io::Write};

use tokio_util::sync::CancellationToken;

use super::output;
use crate::{
    config::request::Format,
    doors::undumpable::hide_this_process,
    exit::Exit,
    model::Event,
    report::{
        event_lines::{self, Weight},
        json,
    },
    run::Events,
};

/// Runs `work` to its end. Ctrl-C, SIGTERM and SIGHUP cancel it, which is not the same as ending it: it still cleans up. With [`Format::Jsonl`] events
/// go to stdout, one JSON document a line; otherwise to stderr as text.
pub fn run<F, Work>(format: Format, work: Work) -> Exit
where
    F: Future<Output = Exit>,
    Work: FnOnce(Events, CancellationToken) -> F,
{
    hide_this_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::chain(&error);
            return Exit::Undecided;
        }
    };
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let listening = tokio::spawn(cancel_on_signal(cancel.clone()));
        let (events, mut heard) = Events::channel();
        let printing = tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                print(format, &event);
            }
        });
        let exit = work(events, cancel).await;
        // All senders are gone now: what is left is printed, then the task ends.
        let _printed = printing.await;
        listening.abort();
        exit
    })
}

async fn cancel_on_signal(cancel: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else { return };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        output::warning(&"cancelled; cleaning up what was started");
        cancel.cancel();
    }
}

fn print(format: Format, event: &Event) {
    if format == Format::Jsonl {
        if let Ok(line) = json::line(event) {
            let _exit = output::result(&(line + "\n"), Exit::Done);
        }
        return;
    }
    for (weight, line) in event_lines::lines(event) {
        match weight {
            Weight::Bad => output::warning(&line),
            // Where stderr is gone there is nobody left to tell.
            Weight::Heading | Weight::Plain => drop(writeln!(anstream::stderr(), "{line}")),
        }
    }
}
