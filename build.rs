//! Stamps what `assay --version` says of a release: the commit, its date, and the target. A debug build says none of it, so that a commit does not
//! compile it anew.

use std::{env, error::Error, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ASSAY_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let version = env::var("CARGO_PKG_VERSION")?;
    let target = env::var("TARGET")?;
    let stamp = if env::var("PROFILE")? == "release" { stamp() } else { None };
    let long = match stamp {
        Some(commit) => format!("{version} ({commit} {target})"),
        None => format!("{version} ({target})"),
    };
    println!("cargo::rustc-env=ASSAY_LONG_VERSION={long}");
    Ok(())
}

/// The commit and the day it was made: `ASSAY_COMMIT` where the sources are not in a repository, as in a package's build.
fn stamp() -> Option<String> {
    if let Ok(given) = env::var("ASSAY_COMMIT") {
        return Some(given);
    }
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    let output = Command::new("git").args(["log", "-1", "--format=%h %cs", "--abbrev=12"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
