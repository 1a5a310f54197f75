//! Writing a file aside, then renaming it into place: a reader sees the old file or the new one, whatever happens in between. It refuses
//! to lock (see `manifest`).

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use assay_suite as suite;

/// Replaces the file at `path` by `bytes`, making its folder if need be. A symbolic link stays and its target is replaced, but for one in a repository, which a
/// commit may have brought: that is refused, like a folder on the way that is a link out of its repository. An existing file keeps its permissions. The bytes are on disk when this returns.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    refuse_links(path)?;
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&path);
    fs::create_dir_all(&folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".assay-").suffix(".tmp");
    let mode = fs::metadata(&path).map(|known| known.permissions()).ok();
    // The umask has its say over this, as over any new file; tempfile's own default is 0600.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(&folder)?;
    file.write_all(bytes)?;
    if let Some(mode) = mode {
        file.as_file().set_permissions(mode)?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    // The name, too, must be on disk; a file system that cannot sync a folder has no such promise to give.
    let _ = fs::File::open(&folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Fails where a link that a commit may have brought would lead the writing elsewhere.
pub(crate) fn refuse_links(path: &Path) -> io::Result<()> {
    let refuse = |link: &Path, what: &str| {
        let words = format!("{} is {what}; nothing is written through it: remove it", link.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
    };
    if let Some((link, target)) = suite::link_out_of_a_repository(path).map_err(io::Error::other)? {
        return refuse(&link, &format!("a link out of its repository, to {}", target.display()));
    }
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    let folder = folder_of(path).canonicalize();
    let in_repository = folder.is_ok_and(|folder| folder.ancestors().any(|above| above.join(".git").exists()));
    if is_link && in_repository { refuse(path, "a link in a repository") } else { Ok(()) }
}

/// The folder that holds `path`; `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_permissions_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/x.json");
        write(&path, b"one").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        write(&link, b"two").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path().join("deep/er")).expect("a folder").count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link_that_a_commit_may_have_brought() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("repo/.git")).expect("made");
        fs::create_dir_all(at("repo/reports")).expect("made");
        fs::create_dir_all(at("home")).expect("made");
        fs::write(at("home/.bashrc"), "mine").expect("written");
        fs::write(at("repo/assay.hcl"), "mine").expect("written");
        symlink(at("home/.bashrc"), at("repo/reports/report.txt")).expect("linked");
        symlink("../assay.hcl", at("repo/reports/evidence.json")).expect("linked");
        symlink(at("home/new"), at("repo/reports/junit.xml")).expect("linked");
        symlink(at("home"), at("repo/out")).expect("linked");
        for name in ["repo/reports/report.txt", "repo/reports/evidence.json", "repo/reports/junit.xml", "repo/out/new"]
        {
            assert!(write(&at(name), b"x").is_err(), "{name}");
        }
        assert_eq!(fs::read(at("home/.bashrc")).expect("read"), b"mine");
        assert_eq!(fs::read(at("repo/assay.hcl")).expect("read"), b"mine");
        assert!(!at("home/new").exists());
        write(&at("repo/reports/own"), b"x").expect("written");
    }
}
