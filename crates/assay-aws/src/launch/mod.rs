//! Boots AMIs and ends what it booted. `fleet` is its face: it is given AMIs, and hands over each instance as soon as it has an
//! address, whichever region was fastest.
//!
//! Reading order: `target` (the values), `keys`, `user_data`, `tags`, `patience` (calls made again), `network` (VPC, subnets, groups), `rights` (whether it
//! could be ended again), `ground` (key
//! pair and security group of a region), `offers` (where and as what to launch, in which order), `start` (one launch), `wait` (until it has an address),
//! `places` (how many at once), `fleet`, `admission` (from where it may be reached), `power` (the same instance booted again), `condition` (whether EC2 says that it is well).
//!
//! Deliberately absent: status checks are not waited for, nothing connects to an instance, and nothing judges it.

mod admission;
mod condition;
mod fleet;
mod ground;
mod keys;
mod network;
mod offers;
mod patience;
mod places;
mod power;
mod rights;
mod start;
mod tags;
mod target;
pub mod user_data;
mod wait;

#[cfg(test)]
mod rights_tests;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;

pub use fleet::Fleet;
pub use keys::KeyPairText;
pub use target::{FleetOrder, LaunchError, LaunchedTarget, RunningInstance};
