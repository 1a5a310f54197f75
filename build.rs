//! Compiles the protocol definitions in proto/ to Rust, without a `protoc` on the machine.

use std::{env, error::Error, fs, path::Path};

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

/// Conductor and prober: messages, client and server for tonic, and their description for reflection; included by `src/probe/proto.rs`.
fn prober() -> Result<(), Box<dyn Error>> {
    const FILE: &str = "proto/prober.proto";
    println!("cargo::rerun-if-changed={FILE}");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_file(FILE)?;
    // What `assay serve` answers to gRPC reflection.
    let descriptor = Path::new(&env::var("OUT_DIR")?).join("prober.binpb");
    fs::write(descriptor, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
