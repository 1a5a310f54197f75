//! AWS as assay needs it, and the only crate that names the AWS SDK: the trait [`cloud::Cloud`] with EC2 behind it, the journal of what a run makes, launching
//! and taking down instances, and AMIs as other projects registered them. It owns retries, the order of creating and removing, and what is left
//! when a process dies; it refuses to judge images and to know git.

pub mod cloud;
pub mod journal;
pub mod launch;
pub mod registry;
