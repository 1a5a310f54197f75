//! What git says where we stand: the commit that is checked out, the tip of its branch, the tip of the protected branch. It owns how each is
//! found with a remote, without one, and when the remote must not be asked; it refuses to say what follows (`run` decides).

use super::{
    books::{BooksRequest, LedgerSnapshot},
    branch,
    commit::LedgerError,
    git::GitError,
    repository::Repository,
};

/// The commits to read from.
#[derive(Debug, Clone)]
pub struct ReadPoints {
    /// The commit that is checked out.
    pub head: LedgerSnapshot,
    /// The tip of the checked out branch as the remote has it, where it is another commit than `head`: `assay commit` may have pushed to it.
    pub branch: Option<LedgerSnapshot>,
    /// The tip of the protected branch; `None` where neither a remote nor this repository has such a branch.
    pub protected: Option<LedgerSnapshot>,
    /// Whether `protected` is the remote's own word of now.
    pub fetched: bool,
}

/// Looks. With `fetch` and a remote, both tips are asked of it; else they are what is here (the remote-tracking reference, then the branch of
/// that name). Fails where there is no repository, no commit, or the remote that was to be asked does not answer.
pub async fn look(request: &BooksRequest, fetch: bool) -> Result<ReadPoints, LedgerError> {
    let in_git = |source| LedgerError::Git { folder: request.folder.clone(), source: Box::new(source) };
    let repository = Repository::open(&request.folder, &request.environment).await.map_err(in_git)?;
    let head = LedgerSnapshot::at(request, "HEAD").await?;
    let known = known_remotes(&repository).await.map_err(in_git)?;
    let fetched = fetch && (request.remote.is_some() || known);
    let protected = if fetched {
        match LedgerSnapshot::open(request).await {
            Ok(books) => Some(books),
            // A repository that nobody has pushed to yet: nothing was ever built. Where it has other branches, the name is wrong.
            Err(LedgerError::NoBranch { .. }) if is_empty(&repository, request).await.map_err(in_git)? => None,
            Err(error) => return Err(error),
        }
    } else {
        local_tip(&repository, request).await.map_err(in_git)?
    };
    let branch = match branch::resolve(&repository, None, &request.environment).await {
        Ok(name) if fetched && name != request.branch => {
            // The branch may live at another remote than the protected one: where `assay commit` pushes it.
            let remote = branch::remote_to_push(&repository, None, &name).await.map_err(in_git)?;
            let there = BooksRequest { branch: name, remote: Some(remote), ..request.clone() };
            match LedgerSnapshot::open(&there).await {
                Ok(books) => Some(books).filter(|books| books.commit() != head.commit()),
                Err(LedgerError::NoBranch { .. }) => None,
                Err(error) => return Err(error),
            }
        }
        _ => None,
    };
    Ok(ReadPoints { head, branch, protected, fetched })
}

async fn known_remotes(repository: &Repository) -> Result<bool, GitError> {
    Ok(!repository.git().text(&["remote"]).await?.is_empty())
}

/// Whether the remote has no branch at all.
async fn is_empty(repository: &Repository, request: &BooksRequest) -> Result<bool, GitError> {
    let remote = branch::remote_of_protected(repository, request.remote.as_deref(), &request.branch).await?;
    Ok(repository.remote_references(&remote, &["refs/heads/*"]).await?.is_empty())
}

/// The protected branch as this repository knows it.
async fn local_tip(repository: &Repository, request: &BooksRequest) -> Result<Option<LedgerSnapshot>, GitError> {
    let remote = match branch::remote_of_protected(repository, request.remote.as_deref(), &request.branch).await {
        Ok(remote) => Some(remote),
        Err(GitError::NoRemote { .. }) => None,
        Err(error) => return Err(error),
    };
    let tracked = remote.map(|remote| format!("refs/remotes/{remote}/{}", request.branch));
    for name in tracked.into_iter().chain([format!("refs/heads/{}", request.branch)]) {
        if repository.commit_of(&name).await?.is_some() {
            return Ok(LedgerSnapshot::at(request, &name).await.ok());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::GitWorld;

    fn request(world: &GitWorld, clone: &str) -> BooksRequest {
        BooksRequest {
            folder: world.path(clone),
            branch: "main".to_owned(),
            remote: None,
            environment: world.environment.clone(),
        }
    }

    fn push(world: &GitWorld, clone: &str, branch: &str) -> String {
        world.git(clone, &["commit", "-q", "--allow-empty", "-m", "more"]);
        world.git(clone, &["push", "-q", "origin", &format!("HEAD:{branch}")]);
        world.git(clone, &["rev-parse", "HEAD"])
    }

    #[tokio::test]
    async fn the_remotes_tips_count_and_what_is_here_when_it_is_not_asked() {
        let world = GitWorld::new();
        world.git(".", &["clone", "-q", "remote.git", "other"]);
        let (before, moved) = (world.remote_tip(), push(&world, "other", "main"));
        let asked = look(&request(&world, "clone"), true).await.expect("looks");
        assert_eq!(asked.protected.as_ref().expect("main").commit(), moved);
        assert_eq!((asked.head.commit(), asked.fetched), (before.as_str(), true));
        assert!(asked.branch.is_none(), "main is the protected branch itself");

        world.git("clone", &["update-ref", "refs/remotes/origin/main", &before]);
        let not_asked = look(&request(&world, "clone"), false).await.expect("looks");
        assert_eq!(not_asked.protected.as_ref().expect("main").commit(), before);
        assert!(!not_asked.fetched);
    }

    #[tokio::test]
    async fn what_was_pushed_to_the_checked_out_branch_is_seen() {
        let world = GitWorld::new();
        world.git("clone", &["checkout", "-q", "-b", "topic"]);
        assert!(look(&request(&world, "clone"), true).await.expect("looks").branch.is_none(), "never pushed");
        world.git("clone", &["push", "-q", "origin", "topic"]);
        assert!(look(&request(&world, "clone"), true).await.expect("looks").branch.is_none(), "the same commit");
        world.git(".", &["clone", "-q", "-b", "topic", "remote.git", "other"]);
        let moved = push(&world, "other", "topic");
        let seen = look(&request(&world, "clone"), true).await.expect("looks");
        assert_eq!(seen.branch.expect("topic").commit(), moved);
    }

    #[tokio::test]
    async fn with_a_fork_for_pushes_the_protected_branch_is_read_from_upstream_and_the_topic_from_the_fork() {
        let world = GitWorld::new();
        world.git(".", &["clone", "-q", "--bare", "remote.git", "fork.git"]);
        world.git("clone", &["remote", "add", "fork", "../fork.git"]);
        world.git("clone", &["fetch", "-q", "fork"]);
        world.git("clone", &["config", "remote.pushDefault", "fork"]);
        world.git("clone", &["config", "branch.main.pushRemote", "fork"]);
        world.git("clone", &["checkout", "-q", "-b", "topic"]);
        world.git(".", &["clone", "-q", "remote.git", "other"]);
        let main = push(&world, "other", "main");
        world.git(".", &["clone", "-q", "fork.git", "mine"]);
        let topic = push(&world, "mine", "topic");
        world.git("clone", &["fetch", "-q", "origin"]);
        for fetch in [true, false] {
            let seen = look(&request(&world, "clone"), fetch).await.expect("looks");
            assert_eq!(seen.protected.expect("main").commit(), main, "the fork's main is old, fetch: {fetch}");
            assert_eq!(seen.branch.is_some_and(|books| books.commit() == topic), fetch);
        }
    }

    #[tokio::test]
    async fn a_remote_that_is_empty_has_nothing_and_one_of_another_name_is_taken() {
        let world = GitWorld::new();
        world.git(".", &["init", "-q", "--bare", "empty.git"]);
        world.git("clone", &["remote", "set-url", "origin", "../empty.git"]);
        let seen = look(&request(&world, "clone"), true).await.expect("looks");
        assert!(seen.protected.is_none() && seen.fetched);
        let elsewhere = BooksRequest { branch: "trunk".to_owned(), ..request(&world, "clone") };
        world.git("clone", &["remote", "set-url", "origin", "../remote.git"]);
        assert!(matches!(look(&elsewhere, true).await, Err(LedgerError::NoBranch { .. })), "it has others");

        world.git("clone", &["remote", "rename", "origin", "upstream"]);
        world.git("clone", &["checkout", "-q", "--detach"]);
        world.git("clone", &["branch", "-D", "-q", "main"]);
        assert!(look(&request(&world, "clone"), true).await.expect("the only remote").protected.is_some());
        world.git("clone", &["remote", "add", "fork", "../remote.git"]);
        let error = look(&request(&world, "clone"), true).await.expect_err("which?");
        assert_eq!(error.exit(), assay_model::exit::ExitStatus::Usage);
        let words = assay_model::cause::chain(&error);
        assert!(words.contains("there is no remote origin, but fork, upstream"), "{words}");
    }

    #[tokio::test]
    async fn without_a_remote_the_local_branch_counts_and_without_a_commit_nothing_does() {
        let world = GitWorld::new();
        world.git("clone", &["checkout", "-q", "-b", "topic"]);
        world.git("clone", &["remote", "remove", "origin"]);
        let seen = look(&request(&world, "clone"), true).await.expect("looks");
        assert!(seen.protected.is_some() && !seen.fetched);
        let elsewhere = BooksRequest { branch: "trunk".to_owned(), ..request(&world, "clone") };
        assert!(look(&elsewhere, true).await.expect("looks").protected.is_none());
        world.git(".", &["init", "-q", "fresh"]);
        assert!(matches!(look(&request(&world, "fresh"), true).await, Err(LedgerError::Git { .. })));
    }
}
