//! One thread that looks after every session's deadline. It owns the list of sockets and when each must be shut; it
//! refuses to know what runs on them.
//!
//! libssh2's own timeouts only count while it waits: a peer that never stops sending keeps it busy for ever. Shutting
//! the socket ends it whatever it is doing. One thread serves any number of sessions, so that hundreds of targets do not
//! cost hundreds of threads.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::net::{Shutdown, shutdown};

/// When nothing is due.
const LONG: Duration = Duration::from_secs(3600);

/// Shuts a socket down at a deadline, unless it is dropped before.
#[derive(Debug)]
pub(super) struct SocketWatchdog {
    key: (Instant, u64),
    fired: Arc<AtomicBool>,
}

#[derive(Debug)]
struct WatchedSocket {
    socket: Arc<OwnedFd>,
    fired: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct WatchList {
    due: BTreeMap<(Instant, u64), WatchedSocket>,
    count: u64,
    has_thread: bool,
}

static LIST: Mutex<WatchList> = Mutex::new(WatchList { due: BTreeMap::new(), count: 0, has_thread: false });
static CHANGED: Condvar = Condvar::new();

impl SocketWatchdog {
    /// Watches `socket` until `deadline`. Fails where the one thread that it needs cannot be started.
    pub(crate) fn start(socket: &Arc<OwnedFd>, deadline: Instant) -> io::Result<Self> {
        let fired = Arc::new(AtomicBool::new(false));
        let watched = WatchedSocket { socket: Arc::clone(socket), fired: Arc::clone(&fired) };
        let mut list = list();
        if !list.has_thread {
            thread::Builder::new().name("watchdog".into()).stack_size(64 << 10).spawn(watch)?;
            list.has_thread = true;
        }
        list.count += 1;
        let key = (deadline, list.count);
        list.due.insert(key, watched);
        // Only an entry that is due before all others changes how long the thread may sleep.
        if list.due.first_key_value().is_some_and(|(first, _)| *first == key) {
            CHANGED.notify_one();
        }
        Ok(Self { key, fired })
    }

    /// Whether the deadline has passed and the socket is shut.
    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }
}

impl Drop for SocketWatchdog {
    fn drop(&mut self) {
        list().due.remove(&self.key);
    }
}

/// A panic elsewhere leaves nothing half done here.
fn list() -> MutexGuard<'static, WatchList> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    let mut list = list();
    loop {
        let now = Instant::now();
        while let Some(first) = list.due.first_entry().filter(|first| first.key().0 <= now) {
            let watched = first.remove();
            watched.fired.store(true, Ordering::SeqCst);
            // A socket that is shut already needs it no more.
            let _ = shutdown(&*watched.socket, Shutdown::Both);
        }
        let pause = list.due.first_key_value().map_or(LONG, |((at, _), _)| at.saturating_duration_since(now));
        list = CHANGED.wait_timeout(list, pause).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    fn pair() -> (Arc<OwnedFd>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Arc::new(ours.into()), theirs)
    }

    #[test]
    fn each_socket_at_its_own_time() {
        let (late, of_late) = pair();
        let (soon, mut of_soon) = pair();
        let (gone, of_gone) = pair();
        let far = Instant::now() + Duration::from_secs(3600);
        let late_dog = SocketWatchdog::start(&late, far).expect("a thread");
        drop(SocketWatchdog::start(&gone, Instant::now() + Duration::from_millis(1)).expect("a thread"));
        let soon_dog = SocketWatchdog::start(&soon, Instant::now() + Duration::from_millis(50)).expect("a thread");
        assert_eq!(of_soon.read(&mut [0]).expect("an end"), 0);
        assert!(soon_dog.has_fired() && !late_dog.has_fired());
        of_late.set_nonblocking(true).expect("set");
        of_gone.set_nonblocking(true).expect("set");
        for mut open in [&of_late, &of_gone] {
            assert_eq!(open.read(&mut [0]).expect_err("still open").kind(), io::ErrorKind::WouldBlock);
        }
    }
}
