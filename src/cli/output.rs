//! Writing to stdout and stderr. A reader that goes away (`| head`) is no error and never changes an exit code.

use std::{
    error::Error,
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use clap::builder::styling::{AnsiColor, Style};

use assay_config::request::OutputFormat;
use assay_model::{cause, exit::ExitStatus};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Writes a result to stdout as it is. Returns `exit`, or [`ExitStatus::Undecided`] where stdout cannot be written (a full disk).
pub fn result(text: &str, exit: ExitStatus) -> ExitStatus {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            self::error(&format!("cannot write to stdout: {error}"));
            ExitStatus::Undecided
        }
        _ => exit,
    }
}

/// Writes a JSON document and a line end to stdout: on one line with [`OutputFormat::Jsonl`], else spread out; see [`result`].
pub fn json(document: &serde_json::Value, format: OutputFormat, exit: ExitStatus) -> ExitStatus {
    match format {
        OutputFormat::Jsonl => result(&format!("{document}\n"), exit),
        _ => result(&format!("{document:#}\n"), exit),
    }
}

/// Writes `error: …` to stderr.
pub fn error(message: &dyn Display) {
    labelled("error", ERROR, message);
}

/// Writes `warning: …` to stderr.
pub fn warning(message: &dyn Display) {
    labelled("warning", WARNING, message);
}

/// Writes a line to stderr.
pub fn note(message: &dyn Display) {
    // Where stderr is gone there is nobody left to tell.
    let written: io::Result<()> = writeln!(anstream::stderr(), "{message}");
    drop(written);
}

/// Writes an error with its sources, once and in one line: `error: this: because of that`.
pub fn chain(error: &dyn Error) {
    self::error(&cause::chain(error));
}

fn labelled(label: &str, style: Style, message: &dyn Display) {
    // Where stderr is gone there is nobody left to tell.
    let written: io::Result<()> = writeln!(anstream::stderr(), "{style}{label}{style:#}: {message}");
    drop(written);
}
