//! The `assay` program: picks the door and turns its result into an exit code.

fn main() {}
