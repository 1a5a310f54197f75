//! A bare remote and a clone of it, with a git configuration of their own. It owns hermetic git; it refuses the user's.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A bare repository, and the one folder that is a clone of it.
pub(crate) struct Repository {
    remote: PathBuf,
    work: PathBuf,
}

/// The variables that keep git from reading this machine's and this user's settings.
pub(crate) fn git_environment(home: &Path) -> Vec<(String, String)> {
    [
        ("HOME", home.to_str().expect("UTF-8")),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "Tester"),
        ("GIT_AUTHOR_EMAIL", "tester@example.com"),
        ("GIT_COMMITTER_NAME", "Tester"),
        ("GIT_COMMITTER_EMAIL", "tester@example.com"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}

impl Repository {
    /// Makes `work` a repository with everything in it committed on branch `topic`, pushed to a new bare remote at `remote`.
    pub(crate) fn publish(work: &Path, remote: &Path) -> Self {
        let this = Self { remote: remote.to_owned(), work: work.to_owned() };
        let remote = remote.to_str().expect("UTF-8");
        this.git(&["init", "-q", "-b", "main", "."]);
        std::fs::write(work.join(".gitignore"), "/build/\n/plugins/\n/state/\n/config/\npacker-manifest.json\n")
            .expect("written");
        this.git(&["add", "-A"]);
        this.git(&["commit", "-q", "-m", "A template"]);
        this.git(&["switch", "-q", "-c", "topic"]);
        this.git(&["init", "-q", "--bare", "-b", "main", remote]);
        this.git(&["remote", "add", "origin", remote]);
        this.git(&["push", "-q", "-u", "origin", "main", "topic"]);
        this
    }

    /// Runs git in the clone; its output without the final newline.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(&self.work, arguments)
    }

    /// Runs git in the bare remote.
    pub(crate) fn remote(&self, arguments: &[&str]) -> String {
        run(&self.remote, arguments)
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .envs(git_environment(folder))
        .stdin(Stdio::null())
        .output()
        .expect("git runs; install it with: apt-get install git");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
