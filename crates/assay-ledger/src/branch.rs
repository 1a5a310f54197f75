//! Which branch and which remote a commit goes to or is read from: what the user says, else what git says, else what the CI system says. It refuses to
//! guess, and to read the protected branch from where pushes go: a fork's copy of it may be old.

use super::{
    git::{GitEnvironment, GitError},
    repository::Repository,
};
use assay_model::escape::escape_line;

/// Why no branch can be named.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// git failed.
    #[error("the repository cannot be asked for its branch")]
    Git(#[from] GitError),
    /// Detached HEAD and no CI variable.
    #[error("HEAD is detached and no CI variable names a branch; say which with --branch")]
    Unknown,
    /// A job that builds something that is not on a branch of this repository.
    #[error("{why}, so its branch {name:?} ({origin}) is none to push to; say which with --branch")]
    NotOurs {
        /// The name, escaped.
        name: String,
        /// The variable.
        origin: String,
        /// What the job builds.
        why: &'static str,
    },
    /// The protected branch as the one to open a pull request from.
    #[error("--open-branch {name} is the protected branch itself; name another")]
    Protected {
        /// The name.
        name: String,
    },
    /// Not a branch name.
    #[error("{name:?} ({origin}) is not a branch name; say which with --branch")]
    Illegal {
        /// The name, escaped.
        name: String,
        /// Where it came from.
        origin: String,
    },
}

/// CI variables that name the branch, in this order, and the prefix to take off. Pull request variables come first: the general ones
/// then name a merge reference. (CircleCI, GitHub Actions, GitLab, Buildkite, Bitbucket, Travis, Azure, CodeBuild, Drone/Woodpecker, Jenkins.)
const CI_BRANCHES: [(&str, &str); 15] = [
    ("CIRCLE_BRANCH", ""),
    ("GITHUB_HEAD_REF", ""),
    ("GITHUB_REF", "refs/heads/"),
    ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", ""),
    ("CI_COMMIT_BRANCH", ""),
    ("BUILDKITE_BRANCH", ""),
    ("BITBUCKET_BRANCH", ""),
    ("TRAVIS_PULL_REQUEST_BRANCH", ""),
    ("TRAVIS_BRANCH", ""),
    ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/"),
    ("BUILD_SOURCEBRANCH", "refs/heads/"),
    ("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/"),
    ("CI_COMMIT_SOURCE_BRANCH", ""),
    ("CHANGE_BRANCH", ""),
    ("BRANCH_NAME", ""),
];

/// The branch that the CI system says it builds, and the variable that said so.
pub(crate) fn of_ci(environment: &GitEnvironment) -> Option<(String, &'static str)> {
    let set = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    // GITHUB_REF_NAME is a branch only when GITHUB_REF_TYPE says so: for a tag it is the tag, for a pull request `12/merge`.
    let github = (set("GITHUB_REF_TYPE") == Some("branch") && set("GITHUB_EVENT_NAME") != Some("pull_request"))
        .then(|| set("GITHUB_REF_NAME"))
        .flatten()
        .filter(|name| !name.ends_with("/merge"))
        .map(|name| (name.to_owned(), "GITHUB_REF_NAME"));
    CI_BRANCHES
        .iter()
        .find_map(|(variable, prefix)| Some((set(variable)?.strip_prefix(prefix)?.to_owned(), *variable)))
        .or(github)
        // Jenkins' git plugin: `origin/main`.
        .or_else(|| set("GIT_BRANCH").and_then(|name| name.split_once('/')).map(|(_, b)| (b.to_owned(), "GIT_BRANCH")))
}

/// The branch to commit to. Fails when nothing names one, or what does is not a branch name.
pub(crate) async fn resolve(
    repository: &Repository,
    asked: Option<&str>,
    environment: &GitEnvironment,
) -> Result<String, BranchError> {
    if let Some(name) = asked {
        return checked(repository, name.strip_prefix("refs/heads/").unwrap_or(name), "--branch").await;
    }
    if let Some(name) = repository.current_branch().await? {
        return Ok(name);
    }
    let (name, variable) = of_ci(environment).ok_or(BranchError::Unknown)?;
    if let Some(why) = not_ours(&name, environment) {
        return Err(BranchError::NotOurs { name: escape_line(&name), origin: variable.to_owned(), why });
    }
    checked(repository, &name, variable).await
}

/// Why the branch that CI names is not one of this repository: that of a fork, which may well be called `main`, or a merge queue's, which is thrown away.
fn not_ours(name: &str, environment: &GitEnvironment) -> Option<&'static str> {
    const FORK: &str = "this job builds the pull request of a fork";
    let set = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let differ = |one: &str, other: &str| set(one).zip(set(other)).is_some_and(|(one, other)| one != other);
    if name.starts_with("gh-readonly-queue/") {
        return Some("this job builds a merge queue");
    }
    // GitLab (a pipeline in the fork itself pushes to the fork), Azure Pipelines, Travis, CircleCI, Jenkins.
    let fork = differ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_PROJECT_ID")
        || set("SYSTEM_PULLREQUEST_ISFORK").is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
        || (set("TRAVIS_PULL_REQUEST_SLUG").is_some() && differ("TRAVIS_PULL_REQUEST_SLUG", "TRAVIS_REPO_SLUG"))
        || set("CIRCLE_PR_REPONAME").is_some()
        || set("CHANGE_FORK").is_some();
    // Buildkite names the repository that the pull request comes from; its own by another URL is no other.
    let of = |variable: &str| set(variable).and_then(super::owner_of);
    let buildkite = of("BUILDKITE_PULL_REQUEST_REPO").zip(of("BUILDKITE_REPO")).is_some_and(|(from, to)| from != to);
    (fork || buildkite || github_fork(environment)).then_some(FORK)
}

/// Whether GitHub's event (the file that `GITHUB_EVENT_PATH` names) is of a pull request from another repository. Only there does it say so. An event that
/// cannot be read is taken for one: nothing is pushed by a guess.
fn github_fork(environment: &GitEnvironment) -> bool {
    if environment.get("GITHUB_HEAD_REF").is_none_or(String::is_empty) {
        return false;
    }
    let text = environment.get("GITHUB_EVENT_PATH").and_then(|path| std::fs::read(path).ok());
    let event = text.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let repository = |side: &str| {
        let pull = event.as_ref()?.get("pull_request")?;
        pull.get(side)?.get("repo")?.get("full_name")?.as_str().map(str::to_owned)
    };
    repository("head").is_none() || repository("head") != repository("base")
}

/// `name` where git takes it for a branch; `origin` is where it came from.
pub(crate) async fn checked(repository: &Repository, name: &str, origin: &str) -> Result<String, BranchError> {
    let legal = !name.starts_with('-')
        && repository.git().ask(&["check-ref-format", &format!("refs/heads/{name}")]).await?.is_some();
    if legal {
        return Ok(name.to_owned());
    }
    Err(BranchError::Illegal { name: escape_line(name), origin: origin.to_owned() })
}

/// The remote to push a branch to, as git itself would choose it (git-config(1): branch.<name>.pushRemote, remote.pushDefault,
/// branch.<name>.remote), else `origin`.
pub(crate) async fn remote_to_push(
    repository: &Repository,
    asked: Option<&str>,
    branch: &str,
) -> Result<String, GitError> {
    let push = [format!("branch.{branch}.pushRemote"), "remote.pushDefault".to_owned()];
    chosen(repository, asked, push.into_iter().chain([upstream(branch)])).await
}

/// The remote that has the protected branch, for reading it and for writing onto it: branch.<name>.remote, else `origin`. Where pushes go by default does
/// not matter: with a fork for pushes that would be the fork, whose copy of the branch is as old as it likes.
pub(crate) async fn remote_of_protected(
    repository: &Repository,
    asked: Option<&str>,
    branch: &str,
) -> Result<String, GitError> {
    chosen(repository, asked, [upstream(branch)]).await
}

fn upstream(branch: &str) -> String {
    format!("branch.{branch}.remote")
}

/// What the user says, else the first of these keys that git's configuration has, else the only remote there is, else `origin`.
async fn chosen(
    repository: &Repository,
    asked: Option<&str>,
    keys: impl IntoIterator<Item = String>,
) -> Result<String, GitError> {
    if let Some(asked) = asked {
        return Ok(asked.to_owned());
    }
    for key in keys {
        if let Some(remote) = repository.config(&key).await?.filter(|remote| remote != ".") {
            return Ok(remote);
        }
    }
    let text = repository.git().text(&["remote"]).await?;
    let remotes: Vec<&str> = text.lines().collect();
    match remotes.as_slice() {
        [only] => Ok((*only).to_owned()),
        all if all.contains(&"origin") => Ok("origin".to_owned()),
        all => Err(GitError::NoRemote { others: all.iter().map(|name| escape_line(name)).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<String> {
        let environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        of_ci(&environment).map(|(branch, _)| branch)
    }

    #[test]
    fn the_branch_of_a_fork_or_a_queue_is_not_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let event = |name: &str, head: &str| {
            let path = folder.path().join(name);
            let text = format!(
                r#"{{"pull_request": {{"head": {{"repo": {{"full_name": "{head}"}}}}, "base": {{"repo": {{"full_name": "o/n"}}}}}}}}"#
            );
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let (ours, fork) = (event("ours", "o/n"), event("fork", "stranger/n"));
        let not_ours = |name: &str, pairs: &[(&str, &str)]| {
            super::not_ours(name, &pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).is_some()
        };
        assert!(!not_ours("topic", &[("GITHUB_HEAD_REF", "topic"), ("GITHUB_EVENT_PATH", &ours)]));
        assert!(not_ours("main", &[("GITHUB_HEAD_REF", "main"), ("GITHUB_EVENT_PATH", &fork)]));
        assert!(not_ours("main", &[("GITHUB_HEAD_REF", "main")]), "no event: nobody knows");
        assert!(!not_ours("main", &[("GITHUB_HEAD_REF", ""), ("GITHUB_REF", "refs/heads/main")]));
        assert!(not_ours(
            "gh-readonly-queue/main/pr-7-0123",
            &[("GITHUB_REF", "refs/heads/gh-readonly-queue/main/pr-7-0123")]
        ));
        let gitlab = |from: &'static str| [("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", from), ("CI_PROJECT_ID", "1")];
        assert!(not_ours("main", &gitlab("2")) && !not_ours("topic", &gitlab("1")));
        assert!(not_ours("main", &[("SYSTEM_PULLREQUEST_ISFORK", "True")]));
        let buildkite =
            |from: &'static str| [("BUILDKITE_PULL_REQUEST_REPO", from), ("BUILDKITE_REPO", "git@github.com:o/n.git")];
        assert!(not_ours("main", &buildkite("https://github.com/stranger/n.git")));
        assert!(!not_ours("topic", &buildkite("https://github.com/o/n.git")));
        assert!(not_ours("main", &[("CIRCLE_PR_REPONAME", "n")]));
    }

    #[test]
    fn ci_systems_name_their_branch() {
        assert_eq!(of(&[("CIRCLE_BRANCH", "feature/x")]).as_deref(), Some("feature/x"));
        assert_eq!(
            of(&[("GITHUB_HEAD_REF", "topic"), ("GITHUB_REF", "refs/pull/12/merge"), ("GITHUB_REF_NAME", "12/merge")])
                .as_deref(),
            Some("topic")
        );
        assert_eq!(
            of(&[("GITHUB_HEAD_REF", ""), ("GITHUB_REF", "refs/heads/main"), ("GITHUB_REF_NAME", "main")]).as_deref(),
            Some("main")
        );
        assert_eq!(of(&[("GITHUB_REF_NAME", "main"), ("GITHUB_REF_TYPE", "branch")]).as_deref(), Some("main"));
        assert_eq!(of(&[("GITHUB_REF", "refs/tags/v1"), ("GITHUB_REF_NAME", "v1"), ("GITHUB_REF_TYPE", "tag")]), None);
        assert_eq!(of(&[("CI_COMMIT_BRANCH", "main")]).as_deref(), Some("main"));
        assert_eq!(of(&[("GIT_BRANCH", "origin/release/1")]).as_deref(), Some("release/1"));
        assert_eq!(of(&[]), None);
    }
}
