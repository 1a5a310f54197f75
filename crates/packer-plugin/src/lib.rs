//! Packer's plugin protocol, bottom up. This room owns every byte that passes between Packer and a plugin, and knows
//! nothing of assay: it could serve any plugin written in Rust.
//!
//! The protocol is not gRPC. From the wire upwards:
//!
//! | file | layer |
//! |---|---|
//! | [`describe`] | the command line (`describe`, `start`) and what the plugin says about itself |
//! | [`handshake`] | cookie, socket, the one line on stdout, exactly one connection |
//! | [`mux`] | yamux: many byte streams on that connection |
//! | [`broker`] | numbers by which the two sides find each other's streams |
//! | [`msgpack`] | bounded reading of msgpack values from a byte stream |
//! | [`rpc`] | Go's net/rpc: calls and answers, both ends |
//! | [`spec`], [`spec_proto`], [`gob`] | a component's options, and their two encodings |
//! | [`cty`], [`encoding`] | a value with its type; which encodings Packer asked for |
//! | [`config`] | what Packer sends to Configure, as plain values |
//! | [`ui`], [`artifact`], [`post_processor`], [`data_source`] | the remote nouns, both ends of each |
//! | [`server`] | the plugin's side of a session |
//! | [`packer`] | Packer's side of a session, for tests |
//!
//! Rules that hold everywhere here: whatever a peer sends is bounded before memory is given to it; a broken peer gets
//! an error, never a panic; nothing waits for ever on a peer, except for the end of a post-process call, which is the
//! plugin's own.
//!
//! Facts about the protocol were read in packer-plugin-sdk 0.6.10 (`rpc/`, `plugin/`) and hashicorp/yamux 0.1.1, and
//! seen on the wire of Packer 1.16.0, 1.11.2 and 1.7.10.

pub mod artifact;
pub mod broker;
pub mod config;
pub mod cty;
pub mod data_source;
pub mod describe;
pub mod encoding;
pub mod gob;
pub mod handshake;
pub mod msgpack;
pub mod mux;
pub mod packer;
pub mod post_processor;
pub mod rpc;
pub mod server;
pub mod spec;
pub mod spec_proto;
pub mod ui;

#[cfg(test)]
mod goldens;

pub use artifact::Artifact;
pub use config::ComponentConfig;
pub use data_source::DataSource;
pub use describe::{DEFAULT_NAME, Invocation, PluginDescription, is_plugin_invocation};
pub use post_processor::{PostProcessOutcome, PostProcessor};
pub use rpc::CallError;
pub use server::{Component, Plugin, ServeError, serve};
pub use spec::{AttributeKind, OptionsSpec, SpecField};
pub use ui::Ui;
