//! Which branch and which remote a commit goes to or is read from: what the user says, else what git says, else what the CI system says. It refuses to
//! guess, and to read the protected branch from where pushes go: a fork's copy of it may be old.

use super::{
    git::{Environment, GitError},
    repository::Repository,
};

/// Why no branch can be named.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// git failed.
    #[error("the repository cannot be asked for its branch")]
    Git(#[from] GitError),
    /// Detached HEAD and no CI variable.
    #[error("HEAD is detached and no CI variable names a branch; say which with --branch")]
    Unknown,
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
pub fn of_ci(environment: &Environment) -> Option<(String, &'static str)> {
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
pub async fn resolve(
    repository: &Repository,
    asked: Option<&str>,
    environment: &Environment,
) -> Result<String, BranchError> {
    if let Some(name) = asked {
        return checked(repository, name.strip_prefix("refs/heads/").unwrap_or(name), "--branch").await;
    }
    if let Some(name) = repository.current_branch().await? {
        return Ok(name);
    }
    let (name, variable) = of_ci(environment).ok_or(BranchError::Unknown)?;
    checked(repository, &name, variable).await
}

/// `name` where git takes it for a branch; `origin` is where it came from.
pub async fn checked(repository: &Repository, name: &str, origin: &str) -> Result<String, BranchError> {
    let legal = !name.starts_with('-')
        && repository.git().ask(&["check-ref-format", &format!("refs/heads/{name}")]).await?.is_some();
    if legal {
        return Ok(name.to_owned());
    }
    Err(BranchError::Illegal { name: crate::model::escape::escape_line(name), origin: origin.to_owned() })
}

/// The remote to push a branch to, as git itself would choose it (git-config(1): branch.<name>.pushRemote, remote.pushDefault,
/// branch.<name>.remote), else `origin`.
pub async fn remote_to_push(repository: &Repository, asked: Option<&str>, branch: &str) -> Result<String, GitError> {
    let push = [format!("branch.{branch}.pushRemote"), "remote.pushDefault".to_owned()];
    chosen(repository, asked, push.into_iter().chain([upstream(branch)])).await
}

/// The remote that has the protected branch, for reading it and for writing onto it: branch.<name>.remote, else `origin`. Where pushes go by default does
/// not matter: with a fork for pushes that would be the fork, whose copy of the branch is as old as it likes.
pub async fn remote_of_protected(
    repository: &Repository,
    asked: Option<&str>,
    branch: &str,
) -> Result<String, GitError> {
    chosen(repository, asked, [upstream(branch)]).await
}

fn upstream(branch: &str) -> String {
    format!("branch.{branch}.remote")
}

/// What the user says, else the first of these keys that git's configuration has, else `origin`.
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
    Ok("origin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<String> {
        let environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        of_ci(&environment).map(|(branch, _)| branch)
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
