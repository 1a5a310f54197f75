//! Compiles the protocol definitions in proto/ to Rust, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    packer_spec()
}

/// Packer's messages for a component's options; included by `src/wire/spec_proto.rs`.
///
/// Maps are ordered, so that the same spec always gives the same bytes.
fn packer_spec() -> Result<(), Box<dyn Error>> {
    const FILE: &str = "proto/packer_spec.proto";
    println!("cargo::rerun-if-changed={FILE}");
    let files = protox::compile([FILE], ["proto"])?;
    prost_build::Config::new().btree_map(["."]).compile_fds(files)?;
    Ok(())
}
