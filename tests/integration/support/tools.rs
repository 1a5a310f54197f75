//! Where the real programs are. It owns the messages for what is missing.

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The `assay` under test.
pub(crate) fn assay() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_assay"))
}

/// Where scripts/tools puts what it builds: `ASSAY_TOOLS`, or the user's cache folder.
pub(crate) fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("ASSAY_TOOLS") {
        return folder.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home().join(".cache"), PathBuf::from);
    cache.join("assay/tools")
}

fn home() -> PathBuf {
    std::env::var_os("HOME").expect("HOME is set").into()
}

fn present(path: PathBuf, cure: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing; get it with: {cure}", path.display());
    path
}

/// A Packer binary: `recent` (1.16 or newer), `1.11.2` or `1.7.10`.
pub(crate) fn packer(version: &str) -> PathBuf {
    let (name, cure) = match version {
        "recent" => ("packer".to_owned(), "scripts/tools"),
        older => (format!("packer-{older}"), "scripts/tools older"),
    };
    present(folder().join("bin").join(name), cure)
}

/// The folder with the amazon plugin and the tests' own builder plugin, to be copied and added to.
pub(crate) fn plugins() -> PathBuf {
    present(folder().join("plugins"), "scripts/tools")
}

/// The mini cloud's launcher.
pub(crate) fn mini_cloud() -> PathBuf {
    present(root().join("examples/mini-cloud/mini-cloud"), "a full checkout")
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}

/// goss 0.4.9, the peer that our checks are compared with.
pub(crate) fn goss() -> PathBuf {
    present(folder().join("bin/goss"), "scripts/tools")
}

/// Python with what the CircleCI runner needs.
pub(crate) fn python() -> PathBuf {
    present(folder().join("python/bin/python"), "scripts/tools python")
}

/// The folder with `ansible-playbook` in it.
pub(crate) fn ansible() -> PathBuf {
    present(folder().join("ansible/bin/ansible-playbook"), "scripts/tools ansible");
    folder().join("ansible/bin")
}

/// What a program under test gets of the environment of whoever runs the tests: how to find programs and files. Credentials, proxies, a CI job's
/// variables and git's would change what the tests see.
pub(crate) fn own_environment() -> impl Iterator<Item = (String, String)> {
    const PASSED: [&str; 9] =
        ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "ASSAY_TOOLS", "LANG", "RUST_BACKTRACE"];
    PASSED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
}
