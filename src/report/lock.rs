//! A lock between processes that write into one folder: flock(2) on the folder itself, which needs no file of its own to be left behind.
//! Where the file system cannot lock a folder (NFS), a file `.assay.lock` in it, never removed: removing it would let two writers hold two
//! locks of one name. It refuses to wait for ever.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    time::{Duration, Instant},
};

/// How long another writer may hold the lock; it holds it for milliseconds unless it was stopped.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// Takes the lock of `folder`, which must exist; it is held until the file is dropped or the process ends. Blocks at most
/// [`DEADLINE`]; then the error's kind is `TimedOut`.
pub(super) fn take(folder: &Path) -> io::Result<File> {
    let started = Instant::now();
    let mut file = File::open(folder)?;
    let mut fallback = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() >= DEADLINE => {
                let held = format!("another process has held the lock of the folder for {} s", DEADLINE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, held));
            }
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(10)),
            Err(TryLockError::Error(_)) if !fallback => {
                fallback = true;
                file = File::options().create(true).append(true).open(folder.join(".assay.lock"))?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
