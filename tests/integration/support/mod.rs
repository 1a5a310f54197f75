//! What the scenarios stand on: the mini cloud, Packer, repositories. It owns starting and ending real programs; it refuses to assert.

pub(crate) mod canned_ec2;
pub(crate) mod certificates;
pub(crate) mod circleci;
pub(crate) mod cloud;
pub(crate) mod desk;
pub(crate) mod http;
pub(crate) mod packer;
pub(crate) mod probing;
pub(crate) mod processes;
pub(crate) mod repository;
pub(crate) mod tools;
