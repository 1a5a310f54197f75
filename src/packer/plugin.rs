//! The way in for Packer: `describe` and `start …`. It owns which components this binary has and the process around them; it refuses every argument
//! that is not Packer's (see [`packer_plugin::is_plugin_invocation`]). stdout belongs to the handshake: everything else goes to stderr, which Packer logs.

use std::{ffi::OsString, io::Write};

use tracing_subscriber::EnvFilter;

use super::{data_source, post_processor::AssayPostProcessor};
use crate::internal_programs::undumpable::hide_this_process;
use assay_model::exit::ExitStatus;
use packer_plugin as wire;
use packer_plugin::{DEFAULT_NAME, Invocation, Plugin};

/// Serves Packer where the arguments (without the program's name) are Packer's; `None` where a person typed them.
pub fn run(arguments: &[OsString]) -> Option<ExitStatus> {
    // What is not UTF-8 is no word of Packer's.
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let invocation = wire::is_plugin_invocation(words)?;
    Some(match invocation {
        Invocation::Describe => describe(),
        other => serve(other),
    })
}

fn plugin() -> Plugin {
    Plugin::new(env!("CARGO_PKG_VERSION"))
        .post_processor(DEFAULT_NAME, AssayPostProcessor::default())
        .data_source(data_source::NAME, data_source::ImageDataSource::default())
}

/// Without a runtime: Packer asks every plugin at every start.
fn describe() -> ExitStatus {
    let line = plugin().description().to_json() + "\n";
    let mut stdout = std::io::stdout();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitStatus::Done,
        Err(_) => ExitStatus::Usage,
    }
}

fn serve(invocation: Invocation) -> ExitStatus {
    // A second subscriber is impossible in this process; the result only says so.
    drop(
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("assay=info"))
            .with_writer(std::io::stderr)
            // It would tell of a standard error that cannot be written on standard error, and panic.
            .log_internal_errors(false)
            .with_ansi(false)
            .try_init(),
    );
    hide_this_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    match runtime.block_on(wire::serve(invocation, &plugin())) {
        Ok(()) => ExitStatus::Done,
        Err(error) => complain(&error),
    }
}

fn complain(error: &dyn std::error::Error) -> ExitStatus {
    crate::cli::output::chain(error);
    ExitStatus::Usage
}
