//! Compiles the protocol definitions in proto/ to Rust.

fn main() {}
