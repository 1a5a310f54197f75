//! The process of an external suite: started with a small environment, its output bounded, ended with all of its group. It owns nothing that the
//! output says; that is shown, escaped, where the suite could not be judged.

use std::{os::unix::process::ExitStatusExt, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{ExternalSuite, HostAccess, SuiteWorkspace, preset};
use crate::orphan_watch::{OrphanEnd, OrphanWatch};
use assay_model::escape::{bounded, escape_bytes};

/// The end of the output that is kept, in bytes.
const KEPT: usize = 4 << 10;
/// The time between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(3);
/// Variables of assay's own environment that a suite gets too.
const PASSED_ON: &[&str] = &["PATH", "LANG", "LC_ALL", "TZ"];

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessEnd {
    /// The exit status; absent where a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it was ended from here: its time was over, or the run was cancelled.
    pub stopped: Option<StopReason>,
    /// The end of what it printed, escaped.
    pub said: String,
}

/// Why a suite was ended from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Its timeout passed.
    Timeout,
    /// The run was cancelled.
    Cancelled,
}

/// Runs the suite to its end. Fails with a sentence where the program cannot be started.
pub(super) async fn run(
    external: &ExternalSuite,
    host: &HostAccess,
    workspace: &SuiteWorkspace,
    watch: &mut OrphanWatch,
    cancel: &CancellationToken,
) -> Result<ProcessEnd, String> {
    let line = preset::command_line(external, workspace);
    let mut command = command(external, host, workspace, &line);
    let mut child = command.spawn().map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "; is it installed, and on PATH?",
            std::io::ErrorKind::PermissionDenied if workspace.owner().is_some() => {
                "; may its user run it? (run-as names another user)"
            }
            _ => "",
        };
        format!("{:?} cannot be started: {error}{hint}", line.first().map_or("", String::as_str))
    })?;
    let group = ProcessGroup(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw));
    if let Some(pid) = group.0 {
        let watched = watch.started(OrphanEnd::KillGroup(pid));
        watched.map_err(|error| format!("its end could not be made sure of: {error}"))?;
    }
    let output = tokio::spawn(tail(child.stdout.take()));
    let complaints = tokio::spawn(tail(child.stderr.take()));
    let (status, stopped) = ended(&mut child, &group, external.timeout, cancel).await?;
    // What it left running would hold its folder, its key and our pipes.
    drop(group);
    // A watch that is gone has nothing left to be told.
    let _ = watch.ended();
    let (output, complaints) = tokio::join!(heard(output), heard(complaints));
    let said = if complaints.trim_ascii().is_empty() { output } else { complaints };
    let said = bounded(&escape_bytes(said.trim_ascii()), KEPT);
    Ok(ProcessEnd { status: status.code(), signal: status.signal(), stopped, said })
}

fn command(external: &ExternalSuite, host: &HostAccess, workspace: &SuiteWorkspace, line: &[String]) -> Command {
    let mut command = Command::new(line.first().map_or("", String::as_str));
    command
        .args(&line[1.min(line.len())..])
        .env_clear()
        .current_dir(workspace.start())
        .process_group(0)
        .kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let home = workspace.home();
    command.env("HOME", &home).env("TMPDIR", &home).env("PYTHONDONTWRITEBYTECODE", "1");
    if workspace.owner().is_some() {
        command.env("USER", &external.run_as).env("LOGNAME", &external.run_as);
    }
    command
        .env("ASSAY_TARGET", &host.target)
        .env("ASSAY_HOST", &host.address)
        .env("ASSAY_PORT", host.port.to_string())
        .env("ASSAY_USER", &host.user)
        .env("ASSAY_SSH_HOST", preset::ALIAS)
        .env("ASSAY_SSH_CONFIG", workspace.ssh_config())
        .env("ASSAY_SSH_KEY", workspace.key())
        .env("ASSAY_REPORT", workspace.report_path())
        // serverspec's own name for it (serverspec.org, "spec_helper.rb").
        .env("TARGET_HOST", preset::ALIAS)
        .envs(&external.environment);
    if let Some(owner) = workspace.owner() {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

/// What a stream said. A process that left the group may hold it open for ever: then what it said is lost.
async fn heard(tail: JoinHandle<Vec<u8>>) -> Vec<u8> {
    let abort = tail.abort_handle();
    let heard = tokio::time::timeout(GRACE, tail).await;
    abort.abort();
    heard.ok().and_then(Result::ok).unwrap_or_default()
}

/// Waits for the end, or brings it about.
async fn ended(
    child: &mut Child,
    group: &ProcessGroup,
    longest: Duration,
    cancel: &CancellationToken,
) -> Result<(std::process::ExitStatus, Option<StopReason>), String> {
    let lost = |error: std::io::Error| format!("it cannot be waited for: {error}");
    let deadline = Instant::now() + longest;
    let stopped = tokio::select! {
        status = child.wait() => return Ok((status.map_err(lost)?, None)),
        () = sleep_until(deadline) => StopReason::Timeout,
        () = cancel.cancelled() => StopReason::Cancelled,
    };
    group.signal(rustix::process::Signal::TERM);
    let status = match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            group.signal(rustix::process::Signal::KILL);
            child.wait().await
        }
    };
    Ok((status.map_err(lost)?, Some(stopped)))
}

/// The suite's process group, killed when this is dropped: however the run ends, also where nobody waits for it any more.
struct ProcessGroup(Option<rustix::process::Pid>);

impl ProcessGroup {
    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(group) = self.0 {
            // A group that is gone needs no signal.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

/// The end of a stream; all of it is read, or the writer would stand still.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut stream) = stream else { return Vec::new() };
    let mut kept = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
    kept
}
