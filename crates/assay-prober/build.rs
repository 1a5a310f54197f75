//! Compiles proto/prober.proto to Rust without a `protoc` on the machine: messages, client and server for tonic, and their description for reflection;
//! included by `src/proto.rs`.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    const FOLDER: &str = "../../proto";
    const FILE: &str = "prober.proto";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FOLDER}/{FILE}");
    let mut compiler = protox::Compiler::new([FOLDER])?;
    compiler.include_source_info(true).include_imports(true).open_file(FILE)?;
    // What `assay serve` answers to gRPC reflection.
    let descriptor = Path::new(&env::var("OUT_DIR")?).join("prober.binpb");
    fs::write(descriptor, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
