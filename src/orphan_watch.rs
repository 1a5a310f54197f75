//! What happens to a process that assay started when assay itself is killed: a shell that waits on a pipe outlives us, sends the process a signal and removes the
//! folder that was made for it. It owns that shell and what it is told; it refuses to know what the process is.
//!
//! The pipe is what tells it: the kernel closes our end however we end. So nothing here depends on a signal that we could still handle, and it works wherever
//! there is a POSIX shell. What it cannot survive (the end of its container, a power cut) ends the watched process too.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::Pid;

/// Reads orders until the pipe closes. `$1`: the folder to remove; empty: none. An order names a signal and what `kill` sends it to, `none` takes it back, and
/// `done` ends the watch. A process that is asked to end has three seconds before it is killed; one that is to clean up by itself (INT) is never killed.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
signal=none whom=
# BusyBox takes no "--", dash no group without it.
send() { kill -s "$1" -- "$whom" || kill -s "$1" "$whom"; }
while read -r signal_now whom_now; do
  [ "$signal_now" = done ] && exit 0
  signal=$signal_now whom=$whom_now
done
case $signal in
  none) ;;
  KILL) send TERM; sleep 3; send KILL ;;
  *) send "$signal" ;;
esac
[ -z "$1" ] || rm -rf -- "$1"
"#;

/// How a process is ended after we were killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrphanEnd {
    /// Its process group is asked to end (SIGTERM), and killed three seconds later.
    KillGroup(Pid),
    /// Its process group is interrupted (SIGINT), and cleans up by itself.
    InterruptGroup(Pid),
    /// It alone is asked to end (SIGTERM), and cleans up by itself.
    Terminate(Pid),
}

/// Ends one process, and removes its folder, once this program is killed. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct OrphanWatch {
    /// Absent only while it is dropped.
    shell: Option<(Child, ChildStdin)>,
}

impl OrphanWatch {
    /// Begins the watch. `folder` is removed, with all that is in it, where we are killed while the watch lasts.
    pub(crate) fn start(folder: Option<&Path>) -> io::Result<Self> {
        // Whoever waits for the end of a pipe that our own parents left open would wait for the shell.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "assay-orphan-watch"])
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // What ends our whole group must not end it.
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take().ok_or_else(|| io::Error::other("the pipe to /bin/sh was not made"))?;
        Ok(Self { shell: Some((shell, pipe)) })
    }

    /// A process was started, which is to end so.
    pub(crate) fn started(&mut self, end: OrphanEnd) -> io::Result<()> {
        let raw = |pid: Pid| pid.as_raw_nonzero();
        self.tell(&match end {
            OrphanEnd::KillGroup(pid) => format!("KILL -{}", raw(pid)),
            OrphanEnd::InterruptGroup(pid) => format!("INT -{}", raw(pid)),
            OrphanEnd::Terminate(pid) => format!("TERM {}", raw(pid)),
        })
    }

    /// The process has ended: its id may soon be another's.
    pub(crate) fn ended(&mut self) -> io::Result<()> {
        self.tell("none")
    }

    fn tell(&mut self, order: &str) -> io::Result<()> {
        match &mut self.shell {
            Some((_, pipe)) => pipe.write_all(format!("{order}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for OrphanWatch {
    fn drop(&mut self) {
        // A shell that is gone has nothing left to be told.
        let _ = self.tell("done");
        if let Some((mut shell, pipe)) = self.shell.take() {
            drop(pipe);
            // It ends at once; nobody needs to wait for that but the table of processes.
            std::thread::spawn(move || shell.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, Instant},
    };

    use super::*;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("600").process_group(0).spawn().expect("sleep");
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    fn ends_within(child: &mut Child, patience: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < patience {
            if child.try_wait().expect("waited for").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What the kernel does to the pipe when this program is killed.
    fn killed(mut watch: OrphanWatch) {
        let (mut shell, pipe) = watch.shell.take().expect("a shell");
        drop(pipe);
        shell.wait().expect("its end");
    }

    #[test]
    fn after_a_kill_the_process_ends_and_its_folder_goes() {
        let folder = tempfile::tempdir().expect("a folder").keep();
        fs::write(folder.join("key"), "secret").expect("written");
        let mut watch = OrphanWatch::start(Some(&folder)).expect("a watch");
        let (mut child, pid) = sleeper();
        watch.started(OrphanEnd::KillGroup(pid)).expect("told");
        killed(watch);
        assert!(ends_within(&mut child, Duration::from_secs(5)));
        assert!(!folder.exists());
    }

    #[test]
    fn what_has_ended_is_sent_nothing_and_a_watch_that_was_ended_does_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        for ended in [true, false] {
            let mut watch = OrphanWatch::start(ended.then_some(Path::new(""))).expect("a watch");
            let (mut child, pid) = sleeper();
            watch.started(OrphanEnd::InterruptGroup(pid)).expect("told");
            if ended {
                watch.ended().expect("told");
                killed(watch);
            } else {
                drop(watch);
            }
            assert!(!ends_within(&mut child, Duration::from_millis(300)), "ended: {ended}");
            child.kill().and_then(|()| child.wait()).expect("killed");
        }
        assert!(folder.path().exists());
    }
}
