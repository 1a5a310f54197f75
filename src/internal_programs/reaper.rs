//! The process behind `assay reaper --journal DIR`, which no person starts. It owns what this process is to the machine: a session of
//! its own, no descriptor of its parent's, not to be read by others, deaf to signals that mean its parent. What it does is `journal::reaper`'s.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rustix::{
    process::{DumpableBehavior, set_dumpable_behavior, setsid},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use tokio::signal::unix::{SignalKind, signal};

use assay_aws::{
    cloud::{Ec2Factory, ResolvedCredentials},
    journal::{
        UndoPolicy,
        reaper::{LOG, READY, read_settings, reap, wait_for_conductor},
    },
};
use assay_config::AccessSettings;
use assay_model::exit::ExitStatus;

/// Beyond the undo's own ten minutes: whatever hangs, this process ends.
const LAST_RESORT: Duration = Duration::from_secs(660);

/// Writes a line to standard error, which may be a file on a full disk: what is undone matters more than what is said of it, and `eprintln!` would panic.
macro_rules! note {
    ($($text:tt)*) => {{
        let written: io::Result<()> = writeln!(io::stderr(), $($text)*);
        drop(written);
    }};
}

/// Waits for the end of the conductor whose journal is in `dir`, and cleans up after it when it did not do so itself.
pub fn run(dir: &Path) -> ExitStatus {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(dir))) {
        Ok(exit) => exit,
        Err(error) => {
            note!("reaper: {error}");
            ExitStatus::Leftovers
        }
    }
}

async fn serve(dir: &Path) -> io::Result<ExitStatus> {
    let log = become_a_daemon(dir)?;
    let mut input = io::stdin().lock();
    let Some(access) = read_settings(&mut input)? else { return Ok(ExitStatus::Done) };
    // The last word on the conductor's pipe. From here on nothing of the conductor's is held but the pipe to listen on.
    let mut output = io::stdout().lock();
    writeln!(output, "{READY}")?;
    output.flush()?;
    dup2_stdout(&log)?;
    note_foreign_descriptors();
    let end = wait_for_conductor(&mut input);
    if end.in_order {
        return Ok(ExitStatus::Done);
    }
    dup2_stdin(File::open("/dev/null")?)?;
    note!("reaper: the conductor ended without a word; undoing what its journal holds");
    tokio::time::timeout(LAST_RESORT, clean_up(dir, &access, end.credentials))
        .await
        .unwrap_or(Ok(ExitStatus::Leftovers))
}

/// A session of its own, so that Ctrl-C and a hang-up of the terminal pass it by; its log as standard error; unreadable to other processes of
/// the same user, since it holds credentials; and deaf to what is sent to whole process trees.
fn become_a_daemon(dir: &Path) -> io::Result<File> {
    // Fails only for the leader of a process group, which has nothing to leave.
    if let Err(error) = setsid() {
        note!("reaper: no session of its own: {error}");
    }
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(LOG))?;
    dup2_stderr(&log)?;
    #[cfg(target_os = "linux")]
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()] {
        // Installing a handler replaces the default action for the rest of this process's life; nobody needs to listen.
        drop(signal(kind)?);
    }
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .init();
    Ok(log)
}

/// Descriptors that came through from the conductor's own parents: Rust opens everything close-on-exec, so none should.
fn note_foreign_descriptors() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    for entry in entries.flatten() {
        let number: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Ok(leads_to) = fs::read_link(entry.path()) else { continue };
        let shared = leads_to.to_str().is_some_and(|to| to.starts_with("pipe:") || to.starts_with("/dev/pts"));
        if number.is_some_and(|number| number > 2) && shared {
            note!("reaper: descriptor {} was inherited: {}", entry.file_name().display(), leads_to.display());
        }
    }
}

async fn clean_up(dir: &Path, access: &AccessSettings, handed: Option<ResolvedCredentials>) -> io::Result<ExitStatus> {
    let clouds = Ec2Factory::connect_with(access, handed).await;
    let left = reap(&clouds, dir, UndoPolicy::reaper()).await.map_err(io::Error::other)?;
    for item in &left {
        note!("reaper: {} {} in {} is left: {}; {}", item.kind, item.id, item.region, item.reason, item.cure);
    }
    note!("reaper: done, {} left", left.len());
    Ok(if left.is_empty() { ExitStatus::Done } else { ExitStatus::Leftovers })
}
