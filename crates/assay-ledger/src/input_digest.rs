//! The digest of an image's input files, from the work tree or from a commit: the same files give the same digest on every machine. It owns which files count and how git is
//! asked for them without moving anything of the user's; what else the source digest holds is [`super::source_digest`]'s.

use std::{ffi::OsString, path::Path};

use super::{
    git::{GitCall, GitEnvironment, GitError, GitProgram},
    location::CheckoutLocation,
    provenance::PlacedGit,
};
use assay_model::Digest;

/// The digest of the input files as they are in the work tree: SHA-256 over `path NUL mode NUL blob id NUL` of every tracked file that
/// `inputs` match, sorted by path from the repository's root. Blob ids are those that a commit of the work tree would hold (after filters
/// and line end conversion), so that the same tree gives the same digest on every machine and in a commit. `Err` says in words why there
/// is none; an input that matches nothing is a line in `unknown`.
pub(super) async fn digest_of_files(
    placed: &PlacedGit,
    inputs: &[String],
    projections: &[String],
    unknown: &mut Vec<String>,
) -> Result<Digest, String> {
    let words = |error: GitError| error.to_string();
    let git = &placed.git;
    let sources = InputFiles::new(&placed.prefix, inputs, projections);
    let scratch = ScratchIndex::new(git).await?;
    let (mut edited, mut any) = (Vec::new(), false);
    for (input, pathspec) in inputs.iter().zip(&sources.pathspecs) {
        let listed = git.run(GitCall::of(&["ls-files", "-t", "--stage", "--full-name", "-z", "--", pathspec])).await;
        let listed = listed.map_err(words)?;
        let mut matched = false;
        let files = listed.split(|byte| *byte == 0).filter_map(listed_file);
        for ListedFile { mode, path, elsewhere } in files.filter(|file| sources.wants(file.path)) {
            matched = true;
            if elsewhere {
                // `git add` refuses what a sparse checkout leaves out, and that is as the index has it.
                continue;
            }
            if mode != b"160000" || placed.location.owns_submodule(path) {
                edited.extend([b":(top,literal)", path, b"\0"].concat());
            } else if placed.location.top().join(String::from_utf8_lossy(path).as_ref()).join(".git").exists() {
                // git would look into a repository that anybody may have put there.
                let path = String::from_utf8_lossy(path);
                unknown.push(format!(
                    "source digest: the submodule {path} counts as the index has it: git does not keep its repository"
                ));
            }
        }
        any |= matched;
        if !matched {
            unknown.push(format!("source digest: no tracked file matches the input {input:?}"));
        }
    }
    if !any {
        return Err("none of the inputs matches a tracked file".to_owned());
    }
    if !edited.is_empty() {
        // Only what is edited and not committed is read here: git knows the rest from the index.
        let arguments = vec!["add", "--update", "--pathspec-from-file=-", "--pathspec-file-nul"];
        let call = GitCall { arguments, input: &edited, variables: scratch.variables(), ..GitCall::default() };
        git.run(call).await.map_err(words)?;
    }
    let mut arguments = vec!["ls-files", "--stage", "--full-name", "-z", "--"];
    arguments.extend(sources.pathspecs.iter().map(String::as_str));
    let call = GitCall { arguments, variables: scratch.variables(), ..GitCall::default() };
    let listed = git.run(call).await.map_err(words)?;
    digest_of(&listed, &sources).ok_or_else(|| "every input was deleted from the work tree".to_owned())
}

/// A file as `ls-files -t --stage` lists it.
struct ListedFile<'l> {
    mode: &'l [u8],
    path: &'l [u8],
    /// Its skip-worktree bit is set: what stands in the work tree does not count, if anything does.
    elsewhere: bool,
}

/// Reads a row of `ls-files -t --stage`: a letter and a space before what [`rows`] reads (git-ls-files(1)).
fn listed_file(row: &[u8]) -> Option<ListedFile<'_>> {
    let letter = row.first()?;
    let (mode, _, path) = rows(row.get(2..)?).next()?;
    Some(ListedFile { mode, path, elsewhere: letter.eq_ignore_ascii_case(&b'S') })
}

/// [`digest_of_files`] as a commit of the repository at `location` holds them; `folder` is where `inputs` and `projections` start from. `Err` says in words why there is none.
pub(super) async fn digest_of_files_of_commit(
    location: &CheckoutLocation,
    folder: &Path,
    environment: &GitEnvironment,
    commit: &str,
    inputs: &[String],
    projections: &[String],
) -> Result<Digest, String> {
    let words = |error: GitError| error.to_string();
    let PlacedGit { git, prefix, .. } = PlacedGit::new(location, folder, environment).map_err(words)?;
    let sources = InputFiles::new(&prefix, inputs, projections);
    let scratch = tempfile::Builder::new().prefix("assay-inputs-").tempdir().map_err(|error| error.to_string())?;
    let variables = || vec![("GIT_INDEX_FILE", scratch.path().join("index").into_os_string())];
    let read = GitCall { arguments: vec!["read-tree", commit], variables: variables(), ..GitCall::default() };
    git.run(read).await.map_err(words)?;
    let mut arguments = vec!["ls-files", "--stage", "--full-name", "-z", "--"];
    arguments.extend(sources.pathspecs.iter().map(String::as_str));
    let listed = git.run(GitCall { arguments, variables: variables(), ..GitCall::default() }).await.map_err(words)?;
    digest_of(&listed, &sources).ok_or_else(|| format!("none of the inputs matches a file of commit {commit}"))
}

/// What the inputs are, for git and for us.
struct InputFiles {
    /// Git's own globs (gitglossary(7), pathspec): `*` stays within a folder, `**` does not, a folder means all that is in it.
    pathspecs: Vec<String>,
    /// Paths from the root that assay writes itself.
    projections: Vec<String>,
}

impl InputFiles {
    fn new(prefix: &str, inputs: &[String], projections: &[String]) -> Self {
        let plain = |path: &str| path.trim_start_matches("./").trim_end_matches('/').to_owned();
        Self {
            pathspecs: inputs.iter().map(|input| format!(":(glob){}", plain(input))).collect(),
            projections: projections.iter().map(|path| format!("{prefix}{}", plain(path))).collect(),
        }
    }

    /// Whether a path from the root counts. Decided here: `ls-files` of git 2.39 lists nothing for some globs beside exclude pathspecs.
    fn wants(&self, path: &[u8]) -> bool {
        !path.is_empty()
            && !path.starts_with(b"images/")
            && !self.projections.iter().any(|projection| projection.as_bytes() == path)
    }
}

/// A copy of the index and an object store of its own: what is edited and not committed is taken in, and nothing of the user's moves.
struct ScratchIndex {
    folder: tempfile::TempDir,
    objects: String,
}

impl ScratchIndex {
    async fn new(git: &GitProgram) -> Result<Self, String> {
        let place = async |name| git.text(&["rev-parse", "--path-format=absolute", "--git-path", name]).await;
        let objects = place("objects").await.map_err(|error| error.to_string())?;
        let index = place("index").await.map_err(|error| error.to_string())?;
        let folder = tempfile::Builder::new().prefix("assay-inputs-").tempdir().map_err(|error| error.to_string())?;
        match copy_with_time(Path::new(&index), &folder.path().join("index")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err("nothing is tracked yet".to_owned());
            }
            copied => copied.map_err(|error| format!("{index}: {error}"))?,
        }
        std::fs::create_dir(folder.path().join("objects")).map_err(|error| error.to_string())?;
        Ok(Self { folder, objects })
    }

    fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("GIT_INDEX_FILE", self.folder.path().join("index").into_os_string()),
            ("GIT_OBJECT_DIRECTORY", self.folder.path().join("objects").into_os_string()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", OsString::from(&self.objects)),
        ]
    }
}

/// Rows of `ls-files --stage -z`, `mode SP blob SP stage TAB path`: mode, blob, path.
fn rows(listed: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    listed.split(|byte| *byte == 0).filter_map(|row| {
        let tab = row.iter().position(|byte| *byte == b'\t')?;
        let mut words = row[..tab].split(|byte| *byte == b' ');
        Some((words.next()?, words.next()?, &row[tab + 1..]))
    })
}

/// The digest of the rows that count; `None` where none does.
fn digest_of(listed: &[u8], inputs: &InputFiles) -> Option<Digest> {
    let counts = rows(listed).filter(|(_, _, path)| inputs.wants(path));
    let mut rows: Vec<Vec<u8>> =
        counts.map(|(mode, blob, path)| [path, b"\0", mode, b"\0", blob, b"\0"].concat()).collect();
    rows.sort();
    (!rows.is_empty()).then(|| Digest::of(&rows.concat()))
}

/// Copies an index with its time: git trusts an entry by size and time only where the file is older than the index (Documentation/technical/racy-git.txt), and a copy
/// of now would make it trust what was edited in the second of the checkout.
fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    let modified = std::fs::metadata(from)?.modified()?;
    std::fs::copy(from, to)?;
    std::fs::File::options().write(true).open(to)?.set_modified(modified)
}
