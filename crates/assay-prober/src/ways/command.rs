//! A proxy command: a program of the user's whose input and output are the connection. It owns the process and everything that it started: its own process
//! group, ended with the connection. What it says on standard error is logged, bounded and escaped.

use std::{
    os::fd::OwnedFd,
    os::unix::net::UnixStream as StdUnixStream,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{PIECE, ToProber, WayClosed, give, quiet};
use crate::proto;
use assay_model::escape::{bounded, escape_line};

/// How long a command that closed its output may take to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long a command that was asked to end may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often its state is looked at meanwhile.
const TICK: Duration = Duration::from_millis(20);
/// Lines of its standard error that are logged.
const LINES: usize = 50;
/// The longest line that is read, in bytes.
const LONGEST_LINE: u64 = 2_000;
/// Exit statuses of a shell that cannot run its command (POSIX, Shell Command Language, 2.8.2).
const CANNOT_RUN: [i32; 2] = [126, 127];

/// Runs `line` with `sh` and carries its bytes until it or the prober ends the connection.
pub(super) async fn connect(line: &str, down: &mut WayClosed, to: &ToProber) -> proto::CarryEnd {
    let (socket, mut running) = match ProxyProcess::start(line) {
        Ok(started) => started,
        Err(error) => {
            return proto::CarryEnd { reason: format!("the proxy command did not start: {error}"), hopeless: true };
        }
    };
    let (mut read, mut write) = socket.into_split();
    let from_command = async {
        let mut buffer = vec![0; PIECE];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            if !give(to, &buffer[..count]).await {
                return false;
            }
        }
        true
    };
    let to_command = async {
        while let Ok(Some(message)) = down.message().await {
            if write.write_all(&message.data).await.is_err() {
                // It reads no more; whether it has ended shows at its output.
                std::future::pending::<()>().await;
            }
        }
        false
    };
    let its_own_end = tokio::select! { own = from_command => own, own = to_command => own };
    drop((read, write));
    if !its_own_end {
        running.end(Duration::ZERO).await;
        return quiet();
    }
    let ended = running.end(GRACE).await;
    let said = running.last_line().await;
    let said = if said.is_empty() { String::new() } else { format!("; it said: {said}") };
    let hopeless = ended.is_some_and(|status| status.code().is_some_and(|code| CANNOT_RUN.contains(&code)));
    let how = ended.map_or("closed its output".to_owned(), |status| format!("ended with {status}"));
    proto::CarryEnd { reason: format!("the proxy command {how}{said}"), hopeless }
}

/// A command and its process group. Dropping it kills both.
struct ProxyProcess {
    child: Child,
    group: Option<Pid>,
    said: Arc<Mutex<String>>,
    listening: Option<JoinHandle<()>>,
}

impl ProxyProcess {
    fn start(line: &str) -> std::io::Result<(UnixStream, Self)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // What our own parents left open is none of its business.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(line)
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let said: Arc<Mutex<String>> = Arc::default();
        let listening = child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&said))));
        Ok((UnixStream::from_std(ours)?, Self { child, group, said, listening }))
    }

    /// Ends what still runs after `grace`, first by asking. `None` where it had to be ended.
    async fn end(&mut self, grace: Duration) -> Option<std::process::ExitStatus> {
        let by_itself = self.ends_within(grace).await;
        if !by_itself {
            self.signal(Signal::TERM);
            self.ends_within(PATIENCE).await;
        }
        // Before its end is collected: until then nobody else can get its number.
        self.signal(Signal::KILL);
        self.group = None;
        let status = timeout(PATIENCE, self.child.wait()).await.ok().and_then(Result::ok);
        status.filter(|_| by_itself)
    }

    /// Looks at its state without collecting it.
    async fn ends_within(&self, time: Duration) -> bool {
        let Some(pid) = self.group else { return true };
        let deadline = Instant::now() + time;
        loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match waitid(WaitId::Pid(pid), options) {
                Ok(None) if Instant::now() < deadline => sleep(TICK).await,
                Ok(None) => return false,
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that has ended needs none.
            let _ = kill_process_group(group, signal);
        }
    }

    /// The last line of its standard error, escaped; empty when it said nothing.
    async fn last_line(&mut self) -> String {
        if let Some(listening) = self.listening.take() {
            let _ = timeout(GRACE, listening).await;
        }
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Reads all of it, or the command would stand still; logs the beginning and keeps the last line.
async fn listen(stderr: ChildStderr, said: Arc<Mutex<String>>) {
    let mut reader = BufReader::new(stderr);
    let mut count = 0;
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = bounded(&escape_line(String::from_utf8_lossy(&line).trim()), 500);
        if line.is_empty() {
            continue;
        }
        count += 1;
        if count <= LINES {
            tracing::info!(target: "assay::proxy_command", "{line}");
        }
        *said.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}
