//! What git can do here, tried without doing it: the repository, who commits, the remote and its protected branch, the right to push, signing. It owns the
//! probes; it refuses to leave a reference anywhere. A trial signature leaves one loose object in the object store, which git's own clean-up takes.

use std::path::Path;

use super::{
    branch,
    git::{GitCall, GitEnvironment, GitError, REMOTE_DEADLINE},
    repository::Repository,
    words::redact,
};
use assay_model::RunId;

/// What was found. An error is in git's or the remote's own words.
#[derive(Debug)]
pub struct GitCheckup {
    /// `Name <email>` that commits would bear; `None` where git has none and ours stands in.
    pub identity: Option<String>,
    /// The remote's name or URL.
    pub remote: String,
    /// Where pushes to it go, without credentials; `None` where the remote is a URL itself, or has none.
    pub url: Option<String>,
    /// Tracked folders that git's own discovery would take for repositories.
    pub embedded: Vec<String>,
    /// The tip of the protected branch there; `Ok(None)`: the remote has no such branch.
    pub branch: Result<Option<String>, GitError>,
    /// Whether a new reference could be pushed; `None` where there is nothing to push, or no remote answered.
    pub push: Option<Result<(), GitError>>,
    /// Which of commits and tags are signed, by which format, and whether that worked; `None`: nothing is signed.
    pub signing: Option<(String, Result<(), GitError>)>,
}

/// Looks at the repository of `folder`, whose protected branch is `protected`. Fails where there is no repository, or no git.
pub async fn look(
    folder: &Path,
    environment: &GitEnvironment,
    protected: &str,
    remote: Option<&str>,
) -> Result<GitCheckup, GitError> {
    let repository = Repository::open(folder, environment).await?;
    // Asked without the stand-ins of `Repository`.
    let plain = repository.location().git(environment);
    let identity = plain.ask(&["var", "GIT_COMMITTER_IDENT"]).await?;
    let identity = identity.and_then(|line| line.rsplit_once('>').map(|(name, _)| format!("{name}>")));
    let remote = branch::remote_of_protected(&repository, remote, protected).await?;
    let url = plain.ask(&["remote", "get-url", "--push", "--", &remote]).await?.map(|url| redact(&url));
    let head = repository.commit_of("HEAD").await?;
    let name = format!("refs/heads/{protected}");
    let found = repository.remote_references(&remote, &[&name]).await;
    let branch = found.map(|references| references.get(&name).cloned());
    let push = match (&head, &branch) {
        (Some(head), Ok(_)) => Some(may_push(&repository, &remote, head).await),
        _ => None,
    };
    let signing = match &head {
        Some(head) => signing(&repository, head).await?,
        None => None,
    };
    let embedded = repository.embedded().await?;
    Ok(GitCheckup { identity, remote, url, embedded, branch, push, signing })
}

/// `push --dry-run` of a reference that nobody has: it does all that a push does but send. A deploy key that may only read is refused there.
async fn may_push(repository: &Repository, remote: &str, commit: &str) -> Result<(), GitError> {
    let reference = format!("{commit}:refs/heads/assay-doctor-{}", RunId::generate().to_string().to_ascii_lowercase());
    let arguments =
        vec!["push", "--dry-run", "--quiet", "--no-follow-tags", "--recurse-submodules=no", "--", remote, &reference];
    repository.git().run(GitCall { arguments, deadline: Some(REMOTE_DEADLINE), ..GitCall::default() }).await.map(drop)
}

/// Tries a signature as a commit or tag of ours would get one.
async fn signing(repository: &Repository, head: &str) -> Result<Option<(String, Result<(), GitError>)>, GitError> {
    let git = repository.git();
    let mut signed = Vec::new();
    for (name, what) in [("commit.gpgsign", "commits"), ("tag.gpgsign", "tags"), ("tag.forceSignAnnotated", "tags")] {
        let on = git.ask(&["config", "--type=bool", "--get", name]).await?.as_deref() == Some("true");
        if on && !signed.contains(&what) {
            signed.push(what);
        }
    }
    if signed.is_empty() {
        return Ok(None);
    }
    let format = git.ask(&["config", "--get", "gpg.format"]).await?.unwrap_or_else(|| "openpgp".to_owned());
    let words = format!("{} by {format}", signed.join(" and "));
    let arguments = vec!["commit-tree", "-S", "-p", head, "-m", "assay doctor: a trial signature"];
    let tree = format!("{head}^{{tree}}");
    let mut arguments = arguments;
    arguments.push(&tree);
    let tried = git.run(GitCall { arguments, deadline: Some(REMOTE_DEADLINE), ..GitCall::default() }).await.map(drop);
    Ok(Some((words, tried)))
}
