//! What a promotion asks of git beside the books: where assay.hcl lies in the repository, whether a file is tracked, who works here, on which branch the CI job
//! runs. It refuses to guess, and to touch the user's work tree.

use std::path::{Path, PathBuf};

use super::{
    LedgerError, ProvenanceRequest,
    branch::of_ci,
    git::{Environment, Git, GitError},
    learn,
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

/// The path of `file` from the root of its repository, with `/`. Fails where its folder is in no repository.
pub async fn path_in_repository(file: &Path, environment: &Environment) -> Result<String, LedgerError> {
    let folder = folder_of(file);
    let in_git = |source: GitError| LedgerError::Git { folder: folder.clone(), source: Box::new(source) };
    let prefix = Git::new(&folder, environment).text(&["rev-parse", "--show-prefix"]).await.map_err(in_git)?;
    Ok(format!("{prefix}{}", name_of(file)))
}

/// Whether git tracks `file`: then its bytes may come from whoever wrote the commit. Links are followed too. False outside of a repository. Fails where git cannot say.
pub async fn is_tracked(file: &Path, environment: &Environment) -> Result<bool, LedgerError> {
    let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    Ok(tracked(file, environment).await? || tracked(&target, environment).await?)
}

async fn tracked(file: &Path, environment: &Environment) -> Result<bool, LedgerError> {
    let folder = folder_of(file);
    let name = name_of(file);
    let asked = ["--literal-pathspecs", "ls-files", "--error-unmatch", "--", &name];
    match Git::new(&folder, environment).text(&asked).await {
        Ok(_) => Ok(true),
        // Only these two answers are a no: a repository that git will not read (its owner is another user) says nothing.
        Err(GitError::Failed { words, .. })
            if words.contains("did not match any file") || words.contains("not a git repository") =>
        {
            Ok(false)
        }
        Err(source) => Err(LedgerError::Git { folder, source: Box::new(source) }),
    }
}

/// Who works here: the CI job's URL, else git's user as `name <email>`, else nobody known.
pub async fn actor(folder: &Path, environment: &Environment) -> String {
    let asked = ProvenanceRequest { folder, environment, owner: None, inputs: &[], projections: &[] };
    if let Some(url) = learn(asked).await.provenance.pipeline {
        return url;
    }
    let ident = Git::new(folder, environment).ask(&["var", "GIT_AUTHOR_IDENT"]).await.ok().flatten();
    // `name <email> seconds zone` (git-var(1)).
    let ident = ident.and_then(|ident| ident.rfind('>').map(|end| ident[..=end].to_owned()));
    ident.unwrap_or_else(|| "unknown".to_owned())
}

/// The branch that this CI job builds; `None` outside of CI and for a pull request.
pub fn branch_of_job(environment: &Environment) -> Option<String> {
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
    use crate::ledger::world::World;

    #[tokio::test]
    async fn what_git_tracks_is_known_and_where_it_lies() {
        let world = World::new();
        world.write("clone/packer/new.json", "{}");
        let tracked = async |name: &str| is_tracked(&world.path(name), &world.environment).await.expect("an answer");
        assert!(tracked("clone/packer/base.pkr.hcl").await);
        assert!(!tracked("clone/packer/new.json").await);
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
