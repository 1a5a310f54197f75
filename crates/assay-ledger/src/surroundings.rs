//! What a promotion asks of git beside the books: where assay.hcl lies in the repository, whether a file is tracked, who works here, on which branch the CI job
//! runs. It refuses to guess, and to touch the user's work tree.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    LedgerError, ProvenanceRequest,
    branch::of_ci,
    git::{GitEnvironment, GitError, environment_of_process},
    learn,
    location::{CheckoutLocation, repository_like_folder},
    repository::Repository,
};

/// Variables that say that a CI job builds a pull request, and the value that says the contrary. A fork's branch may well be called `main`.
const PULL_REQUESTS: [(&str, &str); 12] = [
    ("CIRCLE_PR_NUMBER", ""),
    ("GITHUB_HEAD_REF", ""),
    ("CI_MERGE_REQUEST_IID", ""),
    ("CI_EXTERNAL_PULL_REQUEST_IID", ""),
    ("BUILDKITE_PULL_REQUEST", "false"),
    ("BITBUCKET_PR_ID", ""),
    ("TRAVIS_PULL_REQUEST", "false"),
    ("SYSTEM_PULLREQUEST_PULLREQUESTID", ""),
    ("DRONE_PULL_REQUEST", ""),
    ("CI_COMMIT_PULL_REQUEST", ""),
    ("CHANGE_ID", ""),
    ("CODEBUILD_WEBHOOK_BASE_REF", ""),
];

/// The path of `file` from the root of the repository that its folder is in, with `/`. Fails where its folder is in no repository.
pub async fn path_in_repository(file: &Path, environment: &GitEnvironment) -> Result<String, LedgerError> {
    let folder = folder_of(file);
    let in_git = |source: GitError| LedgerError::Git { folder: folder.clone(), source: Box::new(source) };
    let location = CheckoutLocation::of(&folder, environment).await.map_err(in_git)?;
    let prefix = location.prefix(&folder).map_err(in_git)?;
    Ok(format!("{prefix}{}", name_of(file)))
}

/// Whether the repository that `folder` (that of assay.hcl) is in tracks `file`: then its bytes may come from whoever wrote the commit. Links are followed too.
/// False for a file outside of the repository. No other repository is asked: fails where the file lies in one, or in a folder that git's discovery would take
/// for one, and where git cannot say.
pub async fn is_tracked(file: &Path, folder: &Path, environment: &GitEnvironment) -> Result<bool, LedgerError> {
    let in_git = |source: GitError| LedgerError::Git { folder: folder.to_owned(), source: Box::new(source) };
    let location = CheckoutLocation::of(folder, environment).await.map_err(in_git)?;
    let real = |path: &Path| {
        let why = |error: std::io::Error| GitError::Unsafe { path: path.to_owned(), why: error.to_string() };
        path.canonicalize().map_err(why).map_err(in_git)
    };
    let named = real(&folder_of(file))?.join(name_of(file));
    let mut tracked = false;
    for path in [named, real(file)?] {
        if let Some((folder, kind)) = repository_like_folder(&path, location.top()) {
            let why = format!(
                "git would take this folder for a repository, because of {kind} in it, and obey the settings in there; move {} elsewhere",
                file.display()
            );
            return Err(in_git(GitError::Unsafe { path: folder, why }));
        }
        if let Some(inside) = location.path_from_top(&path) {
            tracked |= location.tracks(&inside, environment).await.map_err(in_git)?;
        }
    }
    Ok(tracked)
}

/// The files that git tracks in the checkout whose top folder is given, as real paths where they are there. Blocks.
pub fn tracked_files(top: &Path) -> Result<BTreeSet<PathBuf>, String> {
    blocking(async {
        let environment = environment_of_process();
        let location = CheckoutLocation::of(top, &environment).await.map_err(|error| error.to_string())?;
        let listed = location.git(&environment).text(&["ls-files", "-z"]).await.map_err(|error| error.to_string())?;
        let paths = listed.split('\0').filter(|path| !path.is_empty());
        Ok(paths.filter_map(|path| real_parent(&location.top().join(path))).collect())
    })
}

/// Waits for `work` on a thread of its own: whoever reads suites is no task of a runtime, or is one that must not be stopped for good.
fn blocking<T: Send>(work: impl Future<Output = Result<T, String>> + Send) -> Result<T, String> {
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(work)
    };
    std::thread::scope(|scope| scope.spawn(wait).join()).unwrap_or_else(|_| Err("git could not be asked".to_owned()))
}

/// The path with its folder's links followed, and its own not: a link that is tracked says nothing of what it leads to.
fn real_parent(path: &Path) -> Option<PathBuf> {
    Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
}

/// The files that git tracks directly in a folder, which need not be there, by their paths on disk; none outside of a repository.
pub async fn tracked_below(folder: &Path, environment: &GitEnvironment) -> Result<Vec<PathBuf>, LedgerError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(there) = absolute.ancestors().find(|above| above.is_dir()) else { return Ok(Vec::new()) };
    let in_git = |source: GitError| LedgerError::Git { folder: folder.to_owned(), source: Box::new(source) };
    let location = match CheckoutLocation::of(there, environment).await {
        Ok(location) => location,
        Err(GitError::NoRepository { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(in_git(error)),
    };
    let prefix = location.prefix(there).map_err(in_git)?;
    let rest = absolute.strip_prefix(there).unwrap_or(Path::new("")).display().to_string();
    let pathspec = format!(":(top,literal,icase){prefix}{rest}");
    let arguments = match pathspec.ends_with(')') {
        true => vec!["ls-files", "-z"],
        false => vec!["ls-files", "-z", "--", pathspec.as_str()],
    };
    let listed = location.git(environment).text(&arguments).await.map_err(in_git)?;
    let folder = location.top().join(format!("{prefix}{rest}"));
    let paths = listed.split('\0').filter(|path| !path.is_empty()).map(|path| location.top().join(path));
    Ok(paths.filter(|path| path.parent().is_some_and(|parent| is_same_folder(parent, &folder))).collect())
}

/// As a file system that makes no difference between small and capital letters has it.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    one.components()
        .map(|part| part.as_os_str().to_ascii_lowercase())
        .eq(other.components().map(|part| part.as_os_str().to_ascii_lowercase()))
}

/// The folders that git tracks and that git's own discovery would take for repositories, from the top of the checkout that holds `folder`; none outside of one.
/// Blocks.
pub fn embedded_repositories(folder: &Path) -> Result<Vec<String>, String> {
    blocking(async {
        let environment = environment_of_process();
        match Repository::open(folder, &environment).await {
            Ok(repository) => repository.embedded().await.map_err(|error| error.to_string()),
            Err(GitError::NoRepository { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Who works here: the CI job's URL, else git's user as `name <email>`, else nobody known.
pub async fn actor(folder: &Path, environment: &GitEnvironment) -> String {
    let asked = ProvenanceRequest { folder, environment, owner: None, inputs: &[], projections: &[], build: "" };
    if let Some(url) = learn(asked).await.provenance.pipeline {
        return url;
    }
    let Ok(location) = CheckoutLocation::of(folder, environment).await else { return "unknown".to_owned() };
    let ident = location.git(environment).ask(&["var", "GIT_AUTHOR_IDENT"]).await.ok().flatten();
    // `name <email> seconds zone` (git-var(1)).
    let ident = ident.and_then(|ident| ident.rfind('>').map(|end| ident[..=end].to_owned()));
    ident.unwrap_or_else(|| "unknown".to_owned())
}

/// The branch that this CI job builds; `None` outside of CI and for a pull request.
pub fn branch_of_job(environment: &GitEnvironment) -> Option<String> {
    let asks = |(name, no): &(&str, &str)| environment.get(*name).is_some_and(|v| !v.is_empty() && v != no);
    if PULL_REQUESTS.iter().any(asks)
        || environment.get("GITHUB_EVENT_NAME").is_some_and(|e| e.contains("pull_request"))
    {
        return None;
    }
    of_ci(environment).map(|(branch, _)| branch)
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn name_of(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::GitWorld;

    #[tokio::test]
    async fn what_git_tracks_is_known_and_where_it_lies() {
        let world = GitWorld::new();
        world.write("clone/packer/new.json", "{}");
        let folder = world.path("clone/packer");
        let tracked =
            async |name: &str| is_tracked(&world.path(name), &folder, &world.environment).await.expect("an answer");
        assert!(tracked("clone/packer/base.pkr.hcl").await);
        assert!(!tracked("clone/packer/new.json").await);
        world.write("clone/packer/*.hcl", "");
        assert!(!tracked("clone/packer/*.hcl").await, "a name is no pattern");
        assert!(!tracked("home/gitconfig").await, "no repository at all");
        let path = path_in_repository(&world.path("clone/packer/base.pkr.hcl"), &world.environment).await;
        assert_eq!(path.expect("a path"), "packer/base.pkr.hcl");
        assert_eq!(actor(&world.path("clone"), &world.environment).await, "Test <test@localhost>");
    }

    #[test]
    fn a_pull_request_builds_no_branch_of_ours() {
        let of = |pairs: &[(&str, &str)]| {
            branch_of_job(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(of(&[("CIRCLE_BRANCH", "main")]).as_deref(), Some("main"));
        assert_eq!(of(&[("CIRCLE_BRANCH", "main"), ("CIRCLE_PR_NUMBER", "7")]), None);
        assert_eq!(of(&[("GITHUB_HEAD_REF", "main"), ("GITHUB_EVENT_NAME", "pull_request")]), None);
        assert_eq!(of(&[("BUILDKITE_BRANCH", "main"), ("BUILDKITE_PULL_REQUEST", "false")]).as_deref(), Some("main"));
        assert_eq!(of(&[]), None);
    }
}
