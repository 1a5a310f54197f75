//! Compiles the protocol definitions in proto/ to Rust, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    packer_spec()?;
    prober()
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

/// Conductor and prober: messages, client and server for tonic; included by `src/probe/proto.rs`.
fn prober() -> Result<(), Box<dyn Error>> {
    const FILE: &str = "proto/prober.proto";
    println!("cargo::rerun-if-changed={FILE}");
    let files = protox::compile([FILE], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
