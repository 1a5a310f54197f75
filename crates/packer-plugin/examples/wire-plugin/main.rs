//! A Packer plugin made with assay's wire room alone: a post-processor that greets, and then passes, fails or waits, and a data source.
//!
//! It shows that the room needs nothing of assay, and is what the tests drive with the Go SDK's own client. Build it
//! with `cargo build --example wire-plugin`; Packer takes it as `packer-plugin-reference`.

mod greeter;
mod greeting;

use std::process::ExitCode;

use greeter::Greeter;
use greeting::Greeting;
use packer_plugin as wire;
use wire::{DEFAULT_NAME, Plugin};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(invocation) = wire::is_plugin_invocation(std::env::args().skip(1)) else {
        eprintln!("Packer starts this program; by hand it only answers `describe`");
        return ExitCode::FAILURE;
    };
    let plugin = Plugin::new("0.1.0")
        .post_processor(DEFAULT_NAME, Greeter::default())
        .data_source("greeting", Greeting::default());
    match wire::serve(invocation, &plugin).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
