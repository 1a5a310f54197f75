//! Compiles the protocol definitions in proto/ to Rust. protox reads them, so no protoc is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    prober()
}

/// proto/prober.proto: messages, client and server for tonic.
fn prober() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/prober.proto");
    let files = protox::compile(["prober.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
