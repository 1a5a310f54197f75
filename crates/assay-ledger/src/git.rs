//! The user's own `git` program, run the way a tool must run it: no prompt, no hook, a deadline, bounded output, secrets struck out. It
//! owns how a git process is started and how its words are made safe; it refuses to know what is committed (see `commit`).

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::{location::CheckoutLocation, words::clean};

/// Deadline of a call that stays on this machine.
pub(crate) const LOCAL_DEADLINE: Duration = Duration::from_secs(60);
/// Deadline of a call that talks to the remote.
pub(crate) const REMOTE_DEADLINE: Duration = Duration::from_secs(180);
/// The most that one call may answer: the largest file that assay reads, and what git writes around it. More is an error, never a shorter answer.
const MAX_OUTPUT: usize = (64 << 20) + (64 << 10);
/// The most that is kept of the beginning and of the end of its complaints. The reason for a failure stands at the end.
const MAX_COMPLAINT: usize = 16 << 10;

/// The variables of git's own that it is given: who commits, how a server is reached and logged in to, and configuration, by which CI systems hand
/// credentials over. Every other `GIT_…` is left out: it would point git at another repository, or change what it answers.
const PASSED_ON: [&str; 20] = [
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ALLOW_PROTOCOL",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_HTTP_USER_AGENT",
    "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME",
    "GIT_HTTP_PROXY_AUTHMETHOD",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
];
/// Beginnings of the rest of such names.
const PASSED_ON_FAMILIES: [&str; 5] =
    ["GIT_SSL_", "GIT_PROXY_SSL_", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

/// Settings of every call. Hooks belong to people's own commits; a file system monitor would be a daemon started by us; a repository without `.git` is
/// never meant.
const SETTINGS: [&str; 6] =
    ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit"];

/// The environment that git and provenance see: names and values, usually [`environment_of_process`].
pub type GitEnvironment = BTreeMap<String, String>;

/// This process's environment; variables that are not UTF-8 are left out.
pub fn environment_of_process() -> GitEnvironment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A git call that did not do what was asked. `words` are git's or the remote's own, escaped, bounded, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// The program is not there.
    #[error("git cannot be started ({reason}); install git 2.30 or newer and have it in PATH")]
    Missing {
        /// The system's reason.
        reason: String,
    },
    /// No folder here or above holds `.git`.
    #[error("{} is not in a git repository: neither it nor a folder above it holds .git", .folder.display())]
    NoRepository {
        /// Where the search began.
        folder: PathBuf,
    },
    /// A repository, or a file that it reads, that must not be used.
    #[error("{}: {why}", .path.display())]
    Unsafe {
        /// What is wrong.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The deadline passed; the process was ended.
    #[error("git {verb} gave no answer within {} s", .deadline.as_secs())]
    Timeout {
        /// `push`, `fetch`, ….
        verb: String,
        /// How long it was given.
        deadline: Duration,
    },
    /// git ended with an error.
    #[error("git {verb} failed ({status}): {words}")]
    Failed {
        /// `push`, `fetch`, ….
        verb: String,
        /// Exit code or signal.
        status: String,
        /// What it said.
        words: String,
        /// What it wrote to stdout: `push --porcelain` explains itself there.
        output: String,
    },
    /// The answer is larger than any that is expected here.
    #[error("git {verb} answered with more than {most} bytes; nothing was read from it")]
    TooMuch {
        /// `cat-file`, `ls-remote`, ….
        verb: String,
        /// How much is read.
        most: usize,
    },
    /// There is no remote that could be meant.
    #[error(
        "there is no remote origin{}; name one with --remote, or in assay.hcl: git {{ remote = \"…\" }}",
        if .others.is_empty() { ", and no other".to_owned() } else { format!(", but {}", .others.join(", ")) }
    )]
    NoRemote {
        /// Those that there are.
        others: Vec<String>,
    },
    /// git answered with something that makes no sense here.
    #[error("git {verb} answered {answer:?}; expected {expected}")]
    Strange {
        /// `rev-parse`, ….
        verb: String,
        /// The answer, escaped and bounded.
        answer: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl GitError {
    /// git's words, for a look at the reason; empty where it said none.
    pub fn words(&self) -> &str {
        match self {
            Self::Failed { words, .. } => words,
            _ => "",
        }
    }
}

/// git bound to one repository, in one folder of it, with one environment.
#[derive(Debug, Clone)]
pub(crate) struct GitProgram {
    folder: PathBuf,
    environment: GitEnvironment,
}

/// One call's input and surroundings.
#[derive(Debug, Default)]
pub(crate) struct GitCall<'a> {
    /// The arguments after git's own, the verb first.
    pub arguments: Vec<&'a str>,
    /// What the process reads from stdin; nothing by default.
    pub input: &'a [u8],
    /// Variables on top of the environment.
    pub variables: Vec<(&'a str, OsString)>,
    /// Given only for calls to the remote.
    pub deadline: Option<Duration>,
}

impl<'a> GitCall<'a> {
    /// A call of these arguments alone.
    pub(crate) fn of(arguments: &[&'a str]) -> Self {
        Self { arguments: arguments.to_vec(), ..Self::default() }
    }
}

impl GitProgram {
    /// git in `folder`, bound to the repository at `location`, seeing what is passed on of `environment` and nothing else of this process.
    pub(super) fn of(location: &CheckoutLocation, folder: &Path, environment: &GitEnvironment) -> Self {
        let mut git = Self::in_top_folder(folder, environment);
        git.environment.remove("GIT_CEILING_DIRECTORIES");
        let bound = location.variables().map(|(name, value)| (name.to_owned(), value));
        git.environment.extend(bound);
        git
    }

    /// git in a checkout's top folder, which looks for `.git` there and nowhere else; only [`CheckoutLocation`] asks so.
    pub(super) fn in_top_folder(top: &Path, environment: &GitEnvironment) -> Self {
        let mut environment: GitEnvironment = environment.iter().filter(passed_on).map(owned).collect();
        if let Some(above) = top.parent() {
            environment.insert("GIT_CEILING_DIRECTORIES".to_owned(), above.display().to_string());
        }
        if let Some(path) = environment.get_mut("PATH") {
            // A relative folder there would be one of the checkout's.
            *path = path.split(':').filter(|part| part.starts_with('/')).collect::<Vec<_>>().join(":");
        }
        environment.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned());
        // A reference refs/replace/… of the server's would put other content in a commit's place.
        environment.insert("GIT_NO_REPLACE_OBJECTS".to_owned(), "1".to_owned());
        // Answers are read by program: git's messages must be the untranslated ones.
        environment.insert("LC_ALL".to_owned(), "C".to_owned());
        environment.remove("LANGUAGE");
        Self { folder: top.to_owned(), environment }
    }

    /// The folder that git runs in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The variable `name` as git will see it.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The same git with one variable more.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Runs `git ARGUMENTS` and returns its stdout as text without the last line end.
    pub(crate) async fn text(&self, arguments: &[&str]) -> Result<String, GitError> {
        let output = self.run(GitCall { arguments: arguments.to_vec(), ..GitCall::default() }).await?;
        Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned())
    }

    /// As [`Self::text`], but an exit status other than 0 is `None`: for questions whose answer may be no.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> Result<Option<String>, GitError> {
        match self.text(arguments).await {
            Ok(text) => Ok(Some(text)),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs one call to its end or its deadline and returns its stdout.
    pub(crate) async fn run(&self, call: GitCall<'_>) -> Result<Vec<u8>, GitError> {
        self.run_telling(call).await.map(|(output, _)| output)
    }

    /// As [`Self::run`], and what it said on stderr, fit to print.
    pub(crate) async fn run_telling(&self, call: GitCall<'_>) -> Result<(Vec<u8>, String), GitError> {
        let verb = verb_of(&call);
        let (mut output, mut cut) = (Vec::new(), false);
        let keep = |bytes: &[u8]| {
            let room = MAX_OUTPUT - output.len();
            cut |= bytes.len() > room;
            output.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        match self.stream(call, keep).await {
            Ok(_) if cut => Err(GitError::TooMuch { verb, most: MAX_OUTPUT }),
            Ok(words) => Ok((output, words)),
            Err(GitError::Failed { verb, status, words, .. }) => {
                let output = String::from_utf8_lossy(&output).into_owned();
                Err(GitError::Failed { verb, status, words, output })
            }
            Err(error) => Err(error),
        }
    }

    /// Runs one call to its end or its deadline, handing over its stdout piece by piece as it comes: for answers of any size. Returns what it
    /// said on stderr, fit to print.
    pub(crate) async fn stream(&self, call: GitCall<'_>, take: impl FnMut(&[u8])) -> Result<String, GitError> {
        let verb = verb_of(&call);
        let deadline = call.deadline.unwrap_or(LOCAL_DEADLINE);
        let mut child = self.start(&call)?;
        let Ok(ended) = tokio::time::timeout(deadline, exchange(&mut child, call.input, take)).await else {
            end_group(&mut child).await;
            return Err(GitError::Timeout { verb, deadline });
        };
        let (status, complaint) = ended.map_err(|error| GitError::Missing { reason: error.to_string() })?;
        let words = clean(&String::from_utf8_lossy(&complaint));
        if status.success() {
            return Ok(words);
        }
        Err(GitError::Failed { verb, status: status.to_string(), words, output: String::new() })
    }

    fn start(&self, call: &GitCall<'_>) -> Result<Child, GitError> {
        Command::new("git")
            .args(SETTINGS)
            .args(&call.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.environment)
            .envs(call.variables.iter().map(|(name, value)| (name, value)))
            .stdin(if call.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: a helper that reads the terminal is stopped instead of asking, and all of it can be ended.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| GitError::Missing { reason: error.to_string() })
    }
}

fn passed_on((name, _): &(&String, &String)) -> bool {
    !name.starts_with("GIT_")
        || PASSED_ON.contains(&name.as_str())
        || PASSED_ON_FAMILIES.iter().any(|family| name.starts_with(family))
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn verb_of(call: &GitCall<'_>) -> String {
    call.arguments.first().copied().unwrap_or_default().to_owned()
}

async fn exchange(child: &mut Child, input: &[u8], take: impl FnMut(&[u8])) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A git that ends early closes its stdin; its exit status says why.
            let _ = stdin.write_all(input).await;
        }
    };
    let mut complaint = TextEnds::default();
    let status = {
        let read = async {
            tokio::join!(write, drain(stdout, take), drain(stderr, |bytes| complaint.add(bytes)));
        };
        tokio::pin!(read);
        tokio::select! {
            () = &mut read => child.wait().await?,
            status = child.wait() => {
                // A credential daemon started by git may hold the pipes for hours: what git itself said is there by now.
                let _ = tokio::time::timeout(Duration::from_secs(2), &mut read).await;
                status?
            }
        }
    };
    Ok((status, complaint.joined()))
}

/// Reads to the end, so that the writer never blocks.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        take(&buffer[..count]);
    }
}

/// The beginning and the end of what is too long to be kept.
#[derive(Debug, Default)]
struct TextEnds {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: bool,
}

impl TextEnds {
    fn add(&mut self, bytes: &[u8]) {
        let (head, tail) = bytes.split_at(bytes.len().min(MAX_COMPLAINT - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let excess = self.tail.len().saturating_sub(MAX_COMPLAINT);
        self.dropped |= excess > 0;
        self.tail.drain(..excess);
    }

    fn joined(self) -> Vec<u8> {
        let between: &[u8] = if self.dropped { "\n…\n".as_bytes() } else { &[] };
        [&self.head, between, &Vec::from(self.tail)].concat()
    }
}

/// Ends the process and its helpers (ssh, remote-https), which share its group.
async fn end_group(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_ended_with_its_helpers() {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = GitEnvironment::from([("PATH".to_owned(), std::env::var("PATH").expect("PATH"))]);
        let git = GitProgram::in_top_folder(folder.path(), &environment);
        // git runs an alias that begins with `!` by a shell: the nearest thing to a helper that hangs.
        let call = GitCall {
            arguments: vec!["-c", "alias.hang=!sleep 600 & echo $! >pid; wait", "hang"],
            deadline: Some(Duration::from_secs(2)),
            ..GitCall::default()
        };
        let error = git.run(call).await.expect_err("hangs");
        assert!(matches!(error, GitError::Timeout { .. }), "{error}");
        let helper = std::fs::read_to_string(folder.path().join("pid")).expect("the helper ran");
        let status = PathBuf::from(format!("/proc/{}/stat", helper.trim()));
        // Killed is not yet gone: the kernel takes its time. A helper that was not killed stays for ten minutes and fails this.
        for _ in 0..600 {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            if text.is_empty() || text.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the helper lives: {}", std::fs::read_to_string(&status).unwrap_or_default());
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_an_error_and_can_be_streamed() {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = GitEnvironment::from([("PATH".to_owned(), std::env::var("PATH").expect("PATH"))]);
        let git = GitProgram::in_top_folder(folder.path(), &environment);
        let due = MAX_OUTPUT + 1;
        let script = format!("alias.much=!head -c {due} /dev/zero");
        let call = || GitCall { arguments: vec!["-c", &script, "much"], ..GitCall::default() };
        let error = git.run(call()).await.expect_err("too large");
        assert!(matches!(error, GitError::TooMuch { most: MAX_OUTPUT, .. }), "{error}");
        let mut count = 0;
        git.stream(call(), |bytes| count += bytes.len()).await.expect("streamed");
        assert_eq!(count, due);
    }

    #[tokio::test]
    async fn the_end_of_long_complaints_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = GitEnvironment::from([("PATH".to_owned(), std::env::var("PATH").expect("PATH"))]);
        let git = GitProgram::in_top_folder(folder.path(), &environment);
        let script =
            "alias.talk=!{ echo first; yes trace | head -n 20000; echo 'does not support --atomic'; } >&2; false";
        let error =
            git.run(GitCall { arguments: vec!["-c", script, "talk"], ..GitCall::default() }).await.expect_err("fails");
        let words = error.words();
        assert!(words.starts_with("first\ntrace") && words.ends_with("does not support --atomic"), "{words}");
    }

    #[tokio::test]
    async fn a_missing_git_says_what_to_install() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = GitProgram::in_top_folder(&folder.path().join("gone"), &GitEnvironment::new());
        let error = git.text(&["version"]).await.expect_err("no such folder").to_string();
        assert!(error.contains("install git 2.30"), "{error}");
    }
}
