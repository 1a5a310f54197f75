//! Writing a file aside, then renaming it into place: a reader sees the old file or the new one, whatever happens in between. It refuses
//! to lock (see `manifest`).

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

/// Replaces the file at `path` by `bytes`, making its folder if need be. A symbolic link stays and its target is replaced; an existing
/// file keeps its permissions. The bytes are on disk when this returns.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
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

/// The folder that holds `path`; `.` for a bare name.
pub fn folder_of(path: &Path) -> PathBuf {
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
}
