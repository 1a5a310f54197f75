//! The probe: suites compiled to one script per host, run over SSH in a process of its own that holds no credentials, and its answers judged there.
//!
//! Two halves of one program. The conductor holds a [`Prober`] ([`client`]), which starts the prober process and speaks gRPC with it. In the prober
//! process [`serve`] confines itself, then runs [`session`] (the only file that knows ssh2) and everything that reads what hosts say. No
//! byte that a host sent is parsed in the conductor: it gets typed outcomes, escaped and bounded.

mod engine;
mod evaluate;
mod frames;
mod host_key;
mod observe;
pub(crate) mod proto;
mod rounds;
mod script;
mod session;
mod sockets;

#[cfg(test)]
#[path = "../../tests/support/sshd.rs"]
mod sshd;
