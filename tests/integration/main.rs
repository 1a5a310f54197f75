//! The integration tests, one binary: whole programs, seen from outside.

mod prober;
#[path = "../support/sshd.rs"]
mod sshd;
