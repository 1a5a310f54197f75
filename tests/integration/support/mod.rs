//! What the scenarios stand on: the mini cloud, Packer, repositories. It owns starting and ending real programs; it refuses to assert.

pub mod canned_ec2;
pub mod certificates;
pub mod circleci;
pub mod cloud;
pub mod desk;
pub mod http;
pub mod packer;
pub mod probing;
pub mod processes;
pub mod repository;
pub mod tools;
