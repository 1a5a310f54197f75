//! What Packer talks to: assay as a plugin, with a post-processor and a data source. It turns what Packer says into a request for a test run, and the run's end
//! into what Packer understands.

pub mod data_source;
pub mod plugin;
pub mod post_processor;
