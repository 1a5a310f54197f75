//! A git repository by plumbing commands only: objects are read and written, the work tree, the index and the branches that are checked
//! out stay as they are. It owns trees, commits and tags as objects; it refuses to know their meaning and to talk to a remote (see `remote`).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    git::{GitCall, GitEnvironment, GitError, GitProgram, REMOTE_DEADLINE},
    location::{CheckoutLocation, repository_like_paths},
};

/// The identity of commits where git has none and the user did not forbid guessing: the usual case of a fresh CI container.
const FALLBACK_NAME: &str = "assay";
/// See [`FALLBACK_NAME`].
const FALLBACK_EMAIL: &str = "assay@localhost";

/// A repository and the git that works on it.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    git: GitProgram,
    objects: PathBuf,
    location: CheckoutLocation,
}

/// A change to a tree: a path with `/` from the root, and the blob it shall hold, or none to take it away.
pub(crate) type TreeChange = (String, Option<String>);

impl Repository {
    /// The repository whose checkout holds `folder`. Fails where there is none, or none that may be used, or git is missing.
    pub(crate) async fn open(folder: &Path, environment: &GitEnvironment) -> Result<Self, GitError> {
        let location = CheckoutLocation::of(folder, environment).await?;
        let mut git = location.git(environment);
        let objects = git.text(&["rev-parse", "--path-format=absolute", "--git-path", "objects"]).await?;
        if git.ask(&["var", "GIT_COMMITTER_IDENT"]).await?.is_none()
            && git.ask(&["config", "--type=bool", "--get", "user.useConfigOnly"]).await?.as_deref() != Some("true")
        {
            for role in ["AUTHOR", "COMMITTER"] {
                git = git
                    .with(&format!("GIT_{role}_NAME"), FALLBACK_NAME)
                    .with(&format!("GIT_{role}_EMAIL"), FALLBACK_EMAIL);
            }
        }
        if git.variable("GIT_SSH_COMMAND").or(git.variable("GIT_SSH")).is_none()
            && git.ask(&["config", "--get", "core.sshCommand"]).await?.is_none()
        {
            // ssh asks on the terminal, past stdin; nobody is there to answer.
            git = git.with("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        Ok(Self { git, objects: PathBuf::from(objects), location })
    }

    /// The git that works here.
    pub(crate) fn git(&self) -> &GitProgram {
        &self.git
    }

    /// Where its checkout is.
    pub(super) fn location(&self) -> &CheckoutLocation {
        &self.location
    }

    /// The folders that git tracks and that git's own discovery would take for repositories, from the top, each with `/` at its end.
    pub(crate) async fn embedded(&self) -> Result<Vec<String>, GitError> {
        let listed = self.git.text(&["ls-files", "-z"]).await?;
        Ok(repository_like_paths(listed.split('\0')))
    }

    /// The branch that is checked out; `None` for a detached HEAD.
    pub(crate) async fn current_branch(&self) -> Result<Option<String>, GitError> {
        self.git.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await
    }

    /// The commit behind a name, if both are here.
    pub(crate) async fn commit_of(&self, name: &str) -> Result<Option<String>, GitError> {
        self.git.ask(&["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{name}^{{commit}}")]).await
    }

    /// Whether the first commit is the second or one of its ancestors, as far as the history is here.
    pub(crate) async fn is_ancestor(&self, first: &str, second: &str) -> Result<bool, GitError> {
        Ok(self.git.ask(&["merge-base", "--is-ancestor", first, second]).await?.is_some())
    }

    /// The last commit in the history of `tip` that changed `path`; `tip` itself where the history is not here (a shallow clone).
    pub(crate) async fn last_change(&self, tip: &str, path: &str) -> Result<String, GitError> {
        let found = self.git.ask(&["log", "-1", "--no-show-signature", "--format=%H", tip, "--", path]).await?;
        Ok(found.filter(|commit| !commit.is_empty()).unwrap_or_else(|| tip.to_owned()))
    }

    /// The value of a configuration variable.
    pub(crate) async fn config(&self, name: &str) -> Result<Option<String>, GitError> {
        self.git.ask(&["config", "--get", name]).await
    }

    async fn config_is_true(&self, name: &str) -> Result<bool, GitError> {
        Ok(self.git.ask(&["config", "--type=bool", "--get", name]).await?.as_deref() == Some("true"))
    }

    /// The bytes of the file at `path` in a commit; `None` where there is no such file.
    pub(crate) async fn read(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        match self.list(commit, path).await?.into_iter().find(|(found, _)| found == path) {
            Some((_, blob)) => Ok(Some(self.blob(&blob).await?)),
            None => Ok(None),
        }
    }

    /// The files below `path` (a file or, with a `/` at the end, a folder) in a commit: (path, blob).
    pub(crate) async fn list(&self, commit: &str, path: &str) -> Result<Vec<(String, String)>, GitError> {
        let call = vec!["ls-tree", "-r", "-z", "--full-tree", commit, "--", path];
        let output = self.git.run(GitCall { arguments: call, ..GitCall::default() }).await?;
        let text = String::from_utf8_lossy(&output);
        let rows = text.split('\0').filter_map(|row| row.split_once('\t'));
        Ok(rows
            .filter_map(|(meta, path)| {
                let mut words = meta.split(' ');
                (words.next()?.starts_with("100") && words.next()? == "blob")
                    .then(|| words.next().map(|blob| (path.to_owned(), blob.to_owned())))?
            })
            .collect())
    }

    /// A blob's bytes.
    pub(crate) async fn blob(&self, id: &str) -> Result<Vec<u8>, GitError> {
        // In a partial clone this asks the remote.
        let call =
            GitCall { arguments: vec!["cat-file", "blob", id], deadline: Some(REMOTE_DEADLINE), ..GitCall::default() };
        self.git.run(call).await
    }

    /// Writes a blob of exactly these bytes (no filters, no line end conversion) and returns its id.
    pub(crate) async fn write_blob(&self, bytes: &[u8]) -> Result<String, GitError> {
        self.id(GitCall { arguments: vec!["hash-object", "-w", "--stdin"], input: bytes, ..GitCall::default() }).await
    }

    /// The tree of `base` (nothing where there is none) with `changes` made, by way of an index of its own. A file keeps its mode. Fails where a
    /// link, a submodule or a folder is in a file's place, or a file in a folder's, since git would drop that; and for a path that git would leave
    /// out without a word.
    pub(crate) async fn tree_with(&self, base: Option<&str>, changes: &[TreeChange]) -> Result<String, GitError> {
        if let Some((path, _)) = changes.iter().find(|(path, _)| !is_plain(path)) {
            return Err(GitError::Strange {
                verb: "update-index".to_owned(),
                answer: super::words::clean(path),
                expected: "a path from the repository's root without \".\", \"..\", \".git\" and empty parts",
            });
        }
        let modes = match base {
            Some(base) => self.modes(base, changes).await?,
            None => BTreeMap::new(),
        };
        let folder = scratch_folder()?;
        let index = || vec![("GIT_INDEX_FILE", OsString::from(folder.path().join("index")))];
        let read = match base {
            Some(base) => vec!["read-tree", base],
            None => vec!["read-tree", "--empty"],
        };
        self.git.run(GitCall { arguments: read, variables: index(), ..GitCall::default() }).await?;
        let none = "0".repeat(changes.iter().find_map(|(_, blob)| blob.as_ref()).map_or(40, String::len));
        let mut input = Vec::new();
        for (path, blob) in changes {
            let line = match blob {
                Some(blob) => format!("{} {blob} 0\t{path}\0", modes.get(path).map_or("100644", String::as_str)),
                None => format!("0 {none} 0\t{path}\0"),
            };
            input.extend_from_slice(line.as_bytes());
        }
        if !input.is_empty() {
            let arguments = vec!["update-index", "-z", "--add", "--replace", "--index-info"];
            self.git.run(GitCall { arguments, input: &input, variables: index(), ..GitCall::default() }).await?;
        }
        // In a partial clone the other files are with the remote, and may stay there.
        self.id(GitCall { arguments: vec!["write-tree", "--missing-ok"], variables: index(), ..GitCall::default() })
            .await
    }

    async fn modes(&self, base: &str, changes: &[TreeChange]) -> Result<BTreeMap<String, String>, GitError> {
        let paths: BTreeSet<&str> = changes.iter().map(|(path, _)| path.as_str()).collect();
        let folders = paths.iter().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]));
        let folders: BTreeSet<&str> = folders.collect();
        let mut arguments = vec!["ls-tree", "-z", "--full-tree", base, "--"];
        arguments.extend(paths.iter().chain(&folders));
        let output = self.git.run(GitCall { arguments, ..GitCall::default() }).await?;
        let mut modes = BTreeMap::new();
        for row in String::from_utf8_lossy(&output).split('\0') {
            let Some((meta, path)) = row.split_once('\t') else { continue };
            // ls-tree also lists what lies beside a path in a folder that it was asked for.
            if !paths.contains(path) && !folders.contains(path) {
                continue;
            }
            let mode = meta.split(' ').next().unwrap_or_default();
            let strange = |expected| {
                let answer = super::words::clean(&format!("{mode} {path}"));
                Err(GitError::Strange { verb: "ls-tree".to_owned(), answer, expected })
            };
            match (mode, folders.contains(path)) {
                ("040000", true) => {}
                (_, true) => return strange("a folder there, since a file in it is to be written"),
                ("040000", false) => return strange("a file there, not a folder"),
                ("120000" | "160000", false) => return strange("a file there, not a link or a submodule"),
                _ => {}
            }
            if mode.starts_with("100") {
                modes.insert(path.to_owned(), mode.to_owned());
            }
        }
        Ok(modes)
    }

    /// The text of an annotated tag object, if it is here and is one.
    pub(crate) async fn tag_text(&self, object: &str) -> Result<Option<String>, GitError> {
        self.git.ask(&["cat-file", "tag", object]).await
    }

    /// The tree of a commit.
    pub(crate) async fn tree_of(&self, commit: &str) -> Result<String, GitError> {
        self.git.text(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await
    }

    /// Writes a commit object, signed where the user's configuration signs commits. No branch moves.
    pub(crate) async fn commit_tree(
        &self,
        tree: &str,
        parent: Option<&str>,
        message: &str,
    ) -> Result<String, GitError> {
        let mut arguments = vec!["commit-tree", tree];
        if let Some(parent) = parent {
            arguments.extend(["-p", parent]);
        }
        // commit-tree does not read commit.gpgsign by itself (git-commit-tree(1)).
        if self.config_is_true("commit.gpgsign").await? {
            arguments.push("-S");
        }
        let deadline = Some(REMOTE_DEADLINE);
        self.id(GitCall { arguments, input: message.as_bytes(), deadline, ..GitCall::default() }).await
    }

    /// Writes an annotated tag object, signed where the user's configuration signs tags. No tag reference is made.
    pub(crate) async fn tag_object(&self, name: &str, commit: &str, message: &str) -> Result<String, GitError> {
        if self.config_is_true("tag.gpgsign").await? || self.config_is_true("tag.forceSignAnnotated").await? {
            return self.signed_tag_object(name, commit, message).await;
        }
        let tagger = self.git.text(&["var", "GIT_COMMITTER_IDENT"]).await?;
        let object = format!("object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}");
        self.id(GitCall { arguments: vec!["mktag"], input: object.as_bytes(), ..GitCall::default() }).await
    }

    /// Only `git tag` signs tags, and it always makes a reference: it makes it in a scratch repository that shares this one's objects and
    /// what its configuration says of signing.
    async fn signed_tag_object(&self, name: &str, commit: &str, message: &str) -> Result<String, GitError> {
        let scratch = scratch_folder()?;
        let format = self.git.text(&["rev-parse", "--show-object-format"]).await?;
        empty_repository(scratch.path(), &format)
            .map_err(|error| GitError::Missing { reason: format!("no scratch repository: {error}") })?;
        let mut variables = vec![
            ("GIT_DIR".to_owned(), OsString::from(scratch.path())),
            ("GIT_OBJECT_DIRECTORY".to_owned(), self.objects.clone().into_os_string()),
        ];
        variables.extend(self.signing_configuration().await?);
        let variables = || variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let arguments = vec!["tag", "--sign", "--cleanup=verbatim", "--file=-", name, commit];
        let deadline = Some(REMOTE_DEADLINE);
        self.git.run(GitCall { arguments, input: message.as_bytes(), variables: variables(), deadline }).await?;
        let reference = format!("refs/tags/{name}");
        self.id(GitCall { arguments: vec!["rev-parse", &reference], variables: variables(), ..GitCall::default() })
            .await
    }

    /// What the repository's configuration says of people and signing, as variables that another repository's git reads (git(1),
    /// GIT_CONFIG_COUNT).
    async fn signing_configuration(&self) -> Result<Vec<(String, OsString)>, GitError> {
        let pattern = r"^(user|author|committer|gpg)\.";
        let text = self.git.ask(&["config", "--null", "--get-regexp", pattern]).await?.unwrap_or_default();
        let mut count: usize = self.git.variable("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
        let mut variables = Vec::new();
        for (key, value) in text.split('\0').filter_map(|row| row.split_once('\n')) {
            variables.push((format!("GIT_CONFIG_KEY_{count}"), OsString::from(key)));
            variables.push((format!("GIT_CONFIG_VALUE_{count}"), OsString::from(value)));
            count += 1;
        }
        variables.push(("GIT_CONFIG_COUNT".to_owned(), OsString::from(count.to_string())));
        Ok(variables)
    }

    /// Sets a reference, only if it is still `old` (`None`: does not exist).
    pub(crate) async fn update_ref(&self, name: &str, new: &str, old: Option<&str>) -> Result<(), GitError> {
        let none = "0".repeat(new.len());
        self.git.text(&["update-ref", "-m", "assay commit", name, new, old.unwrap_or(&none)]).await.map(drop)
    }

    /// Whether a branch is checked out in this or another work tree of the repository.
    pub(crate) async fn is_checked_out(&self, branch: &str) -> Result<bool, GitError> {
        let listed = self.git.text(&["worktree", "list", "--porcelain"]).await?;
        Ok(listed.lines().any(|line| line == format!("branch refs/heads/{branch}")))
    }

    async fn id(&self, call: GitCall<'_>) -> Result<String, GitError> {
        let verb = call.arguments.first().copied().unwrap_or_default().to_owned();
        let output = self.git.run(call).await?;
        let text = String::from_utf8_lossy(&output).trim().to_owned();
        if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(text);
        }
        Err(GitError::Strange { verb, answer: super::words::clean(&text), expected: "an object id" })
    }
}

/// Whether git's index takes a path: every other it leaves out, says so on stderr at most, and ends well.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"))
}

/// A repository without anything in it (gitrepository-layout(5)). `git init` would not do: bound to a work tree, it refuses to make one without.
fn empty_repository(folder: &Path, object_format: &str) -> std::io::Result<()> {
    std::fs::create_dir(folder.join("objects"))?;
    std::fs::create_dir(folder.join("refs"))?;
    let config = match object_format {
        "sha1" => "[core]\n\trepositoryFormatVersion = 0\n".to_owned(),
        other => format!("[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tobjectFormat = {other}\n"),
    };
    std::fs::write(folder.join("config"), config)?;
    std::fs::write(folder.join("HEAD"), "ref: refs/heads/none\n")
}

fn scratch_folder() -> Result<tempfile::TempDir, GitError> {
    tempfile::Builder::new()
        .prefix("assay-git-")
        .tempdir()
        .map_err(|error| GitError::Missing { reason: format!("no temporary folder: {error}") })
}
