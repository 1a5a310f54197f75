//! The child that outlives its parent. While the conductor lives it only waits on a pipe; when the pipe closes without the word `done`, the
//! conductor is dead and the reaper undoes what the journal holds. It owns both ends of that conversation; what the process looks like
//! (session, descriptors, signals) is the program's own (`internal_programs::reaper`).
//!
//! The conversation: the conductor writes one line of settings and one of the credentials that it got with them, the reaper answers `ready`, and only then may anything be
//! created. The conductor sends the credentials again whenever it got others: when it is dead, their source may be gone too (the token file of a job), or be another's. At
//! the end the conductor writes `done`. Silence is never an answer: a torn line counts as a dead conductor.
//!
//! What a reaper cannot survive (the end of its container, a power cut, SIGKILL of its own) is what `assay:expires-at` and the sweep are for.

use std::{
    fs::OpenOptions,
    io::{self, BufRead},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{Mutex, watch},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::{Journal, JournalError, UndoPolicy, handover, undo};
use crate::cloud::{CloudFactory, ResolvedCredentials};
use assay_config::AccessSettings;
use assay_model::evidence::Leftover;

/// The reaper's log, in the journal's folder.
pub const LOG: &str = "reaper.log";
/// The reaper's answer when it is ready.
pub const READY: &str = "ready";
/// The conductor's last word.
const DONE: &str = "done";
/// Starting a process takes milliseconds; a machine that needs longer than this is in no state to launch anything.
const START_PATIENCE: Duration = Duration::from_secs(20);
const END_PATIENCE: Duration = Duration::from_secs(5);

/// The reaper could not be started. Nothing may be created without it.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    /// The process or its pipe failed.
    #[error("the reaper could not be started")]
    Start(#[source] io::Error),
    /// It ended or said something else instead of `ready`.
    #[error("the reaper did not become ready; its log is {log}")]
    NotReady {
        /// Where to read why.
        log: PathBuf,
    },
    /// The settings could not be written as a line.
    #[error("the settings could not be handed to the reaper")]
    Handover(#[source] serde_json::Error),
}

/// The conductor's end. Dropping it without [`ReaperHandle::dismiss`] closes the pipe: the reaper then undoes what is open.
#[derive(Debug)]
pub struct ReaperHandle {
    child: Child,
    pipe: Arc<Mutex<ChildStdin>>,
    /// Sends credentials as they are got.
    renewing: AbortOnDropHandle<()>,
}

impl ReaperHandle {
    /// Starts `program reaper --journal DIR` (`program` is this very program, see [`own_program`]) and waits until it is ready.
    ///
    /// `resolved`: the credentials in use, see [`CloudFactory::resolved`].
    pub async fn start(
        program: &Path,
        journal: &Journal,
        access: &AccessSettings,
        mut resolved: watch::Receiver<Option<ResolvedCredentials>>,
    ) -> Result<Self, ReaperError> {
        let line = handover::to_line(access).map_err(ReaperError::Handover)?;
        let credentials = credentials_line(&mut resolved).map_err(ReaperError::Handover)?;
        let log_path = journal.dir().join(LOG);
        // What our own parents left open (a CI runner's pipes, a jobserver) must not be held by a process that outlives us: whoever
        // waits for the end of such a pipe would wait for the reaper.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path);
        let mut child = Command::new(program)
            .args(["reaper", "--journal"])
            .arg(journal.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_err(ReaperError::Start)?)
            .spawn()
            .map_err(ReaperError::Start)?;
        let piped = || ReaperError::Start(io::Error::other("its pipes were not made"));
        let mut pipe = child.stdin.take().ok_or_else(piped)?;
        let answers = child.stdout.take().ok_or_else(piped)?;
        let hello = async {
            pipe.write_all(line.as_bytes()).await?;
            pipe.write_all(b"\n").await?;
            pipe.write_all(credentials.as_bytes()).await?;
            pipe.flush().await?;
            let mut answer = String::new();
            BufReader::new(answers).read_line(&mut answer).await?;
            io::Result::Ok(answer)
        };
        match timeout(START_PATIENCE, hello).await {
            Ok(Ok(answer)) if answer.trim_end() == READY => {
                let pipe = Arc::new(Mutex::new(pipe));
                let renewing = AbortOnDropHandle::new(tokio::spawn(renew(pipe.clone(), resolved)));
                Ok(Self { child, pipe, renewing })
            }
            _ => Err(ReaperError::NotReady { log: log_path }),
        }
    }

    /// Tells the reaper that nothing is left to do, and waits until it has ended.
    pub async fn dismiss(mut self) -> io::Result<()> {
        {
            // Whoever holds the pipe writes a whole line.
            let mut pipe = self.pipe.lock().await;
            self.renewing.abort();
            pipe.write_all(format!("{DONE}\n").as_bytes()).await?;
            pipe.flush().await?;
        }
        drop((self.renewing, self.pipe));
        timeout(END_PATIENCE, self.child.wait()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(())
    }
}

/// The line of the credentials in use, with its newline; empty where none are known.
fn credentials_line(
    resolved: &mut watch::Receiver<Option<ResolvedCredentials>>,
) -> serde_json::Result<Zeroizing<String>> {
    let Some(known) = resolved.borrow_and_update().clone() else { return Ok(Zeroizing::default()) };
    handover::credentials_to_line(&known).map(|line| Zeroizing::new(format!("{}\n", line.as_str())))
}

/// Sends credentials whenever others were got, until the pipe or their source ends.
async fn renew(pipe: Arc<Mutex<ChildStdin>>, mut resolved: watch::Receiver<Option<ResolvedCredentials>>) {
    while resolved.changed().await.is_ok() {
        let Ok(line) = credentials_line(&mut resolved) else { continue };
        let mut pipe = pipe.lock().await;
        let sent = async { pipe.write_all(line.as_bytes()).await.and(pipe.flush().await) };
        if let Err(error) = sent.await {
            tracing::warn!(%error, "the reaper could not be told of new credentials");
            return;
        }
    }
}

/// This program, by a path that still leads to it when the file was replaced or removed meanwhile.
pub fn own_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// The reaper's end: reads the settings. `None`: the conductor died before it said anything, so it created nothing.
pub fn read_settings(input: &mut impl BufRead) -> io::Result<Option<AccessSettings>> {
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => handover::from_line(line).map(Some).map_err(io::Error::other),
        None => Ok(None),
    }
}

/// How a conductor ended.
#[derive(Debug)]
pub struct ConductorEnd {
    /// Its last word was `done`.
    pub in_order: bool,
    /// The last credentials that it got.
    pub credentials: Option<ResolvedCredentials>,
}

/// Blocks until the conductor has ended.
pub fn wait_for_conductor(input: &mut impl BufRead) -> ConductorEnd {
    let mut end = ConductorEnd { in_order: false, credentials: None };
    loop {
        let mut line = Zeroizing::new(String::new());
        match input.read_line(&mut line) {
            Ok(0) => return end,
            Ok(_) => {
                end.in_order = line.as_str() == format!("{DONE}\n");
                let whole = line.strip_suffix('\n');
                if let Some(Ok(credentials)) = whole.map(handover::credentials_from_line) {
                    end.credentials = Some(credentials);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A pipe that cannot be read is no better than a dead conductor; undoing twice is harmless.
            Err(_) => return ConductorEnd { in_order: false, ..end },
        }
    }
}

/// Undoes what the record in `dir` holds, and notes the outcome there. The record stays: it tells what happened.
pub async fn reap(clouds: &dyn CloudFactory, dir: &Path, policy: UndoPolicy) -> Result<Vec<Leftover>, JournalError> {
    let journal = Journal::reopen(dir)?;
    let left = undo(clouds, &journal, policy).await;
    journal.finish()?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_done_at_the_end_means_done() {
        let says = |text: &str| wait_for_conductor(&mut text.as_bytes()).in_order;
        assert!(says("done\n"));
        for dead in ["", "done", "don", "done\nmore\n", "\n"] {
            assert!(!says(dead), "{dead:?}");
        }
    }

    #[test]
    fn the_last_whole_credentials_count_however_the_conductor_ends() {
        let line =
            |key: &str| format!("{{\"access_key\":\"{key}\",\"secret_key\":\"s\",\"token\":null,\"expires_at\":9}}\n");
        let torn = line("third");
        let said = format!("{}{}{}", line("first"), line("second"), &torn[..torn.len() - 3]);
        let end = wait_for_conductor(&mut said.as_bytes());
        assert!(!end.in_order);
        assert_eq!(end.credentials.expect("told").access_key, "second");
        let end = wait_for_conductor(&mut format!("{}done\n", line("first")).as_bytes());
        assert!(end.in_order && end.credentials.is_some());
    }

    #[test]
    fn settings_that_never_came_whole_are_none() {
        assert!(read_settings(&mut &b""[..]).expect("reads").is_none());
        assert!(read_settings(&mut &b"{\"access_key\""[..]).expect("reads").is_none());
        assert!(read_settings(&mut &b"nonsense\n"[..]).is_err());
    }
}
