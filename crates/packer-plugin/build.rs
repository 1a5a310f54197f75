//! Compiles Packer's messages for a component's options to Rust, without a `protoc` on the machine; included by `src/spec_proto.rs`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const FILE: &str = "proto/packer_spec.proto";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FILE}");
    let files = protox::compile([FILE], ["proto"])?;
    // Maps are ordered, so that the same spec always gives the same bytes.
    prost_build::Config::new().btree_map(["."]).compile_fds(files)?;
    Ok(())
}
