//! The ways in: Packer's post-processor and data source, the command line, and the hidden programs that assay starts itself. A door turns what its caller
//! says into a request for the conductor, and the conductor's answer into what its caller understands.

pub mod cli;
pub mod data_source;
pub mod plugin;
pub mod post_processor;
pub mod prober;
pub mod reaper;
mod undumpable;
