//! A command at work: the runtime, Ctrl-C, and the events on stderr while it goes on. It owns how progress looks on a terminal; results go to stdout and
//! are the commands' own.

use std::{
    future::Future,
    io::Write,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::output;
use crate::{
    internal_programs::undumpable::hide_this_process,
    report::{
        event_lines::{self, LineWeight},
        json,
    },
    signals::EndRequests,
    test_run::EventSender,
};
use assay_config::request::OutputFormat;
use assay_model::{RunEvent, exit::ExitStatus};

/// How long a reader of stderr may take to take a warning.
const READER_PATIENCE: Duration = Duration::from_millis(500);

/// What an interrupt (SIGINT, SIGTERM, SIGHUP) does to a command, beside what the command itself makes of the cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    /// It ends at once: it changes nothing.
    End,
    /// It is told, and ends when what it has begun is whole. The words, a whole sentence, say what it does meanwhile.
    Cancel(&'static str),
    /// What it has begun is seen through, since half of it helps nobody; a second interrupt ends it at once.
    Finish,
}

/// Runs `work` to its end, or as `on_interrupt` says. With [`OutputFormat::Jsonl`] events go to stdout, one JSON document a line; otherwise to stderr as text.
pub(super) fn run<F, Work>(format: OutputFormat, on_interrupt: OnInterrupt, work: Work) -> ExitStatus
where
    F: Future<Output = ExitStatus>,
    Work: FnOnce(EventSender, CancellationToken) -> F,
{
    hide_this_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::chain(&error);
            return ExitStatus::Undecided;
        }
    };
    let exit = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let interrupted = interrupted(on_interrupt, cancel.clone());
        let (events, mut heard) = EventSender::channel();
        let printing = tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                print(format, &event);
            }
        });
        let exit = tokio::select! {
            exit = work(events, cancel) => exit,
            () = interrupted => return ExitStatus::Undecided,
        };
        // All senders are gone now: what is left is printed, then the task ends.
        let _printed = printing.await;
        exit
    });
    // A look-up or a write that the system does not answer must not hold back the end.
    runtime.shutdown_background();
    exit
}

/// Returns when the command is to end at once.
async fn interrupted(on_interrupt: OnInterrupt, cancel: CancellationToken) {
    let Ok(mut requests) = EndRequests::listen() else {
        tell("an interrupt will not be noticed: the system takes no handlers for signals").await;
        return std::future::pending().await;
    };
    for count in 1.. {
        requests.next().await;
        // First of all: whoever reads our messages may stand still.
        cancel.cancel();
        match (on_interrupt, count) {
            (OnInterrupt::End, _) => return tell("interrupted").await,
            (OnInterrupt::Finish, 1) => {
                tell("interrupted; what has begun is finished first, a second interrupt ends it at once").await;
            }
            (OnInterrupt::Finish, _) => {
                return tell("ended in the middle; run it again to finish what has begun").await;
            }
            (OnInterrupt::Cancel(words), 1) => tell(words).await,
            (OnInterrupt::Cancel(_), _) => {}
        }
    }
}

/// Writes a warning, and does not wait for ever for whoever reads it.
async fn tell(message: &'static str) {
    let written = std::thread::spawn(move || output::warning(&message));
    let began = Instant::now();
    while !written.is_finished() && began.elapsed() < READER_PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn print(format: OutputFormat, event: &RunEvent) {
    if format == OutputFormat::Jsonl {
        if let Ok(line) = json::line(event) {
            let _exit = output::result(&(line + "\n"), ExitStatus::Done);
        }
        return;
    }
    for (weight, line) in event_lines::lines(event) {
        match weight {
            LineWeight::Bad => output::warning(&line),
            // Where stderr is gone there is nobody left to tell.
            LineWeight::Heading | LineWeight::Plain => drop(writeln!(anstream::stderr(), "{line}")),
        }
    }
}
