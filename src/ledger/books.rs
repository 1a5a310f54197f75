//! The books: what one commit of the protected branch says, as parsed data, and the one way to change it. It owns reading locks, candidates
//! and files of a commit without a checkout, and the loop in which an edit is computed anew for each tip that another writer made; it refuses
//! to know which edits are right (`run` decides), to force, and to touch the user's work tree, index and branches.

use std::{path::PathBuf, time::Instant};

use super::{
    branch, candidate_file,
    commit::{LedgerError, Patience, pause},
    git::{Environment, GitError},
    lock_file,
    plan::PlanError,
    provenance::source_digest_of_commit,
    remote::{PushAnswer, is_hopeless},
    repository::Repository,
    words::redact,
};
use crate::model::{Candidate, Digest, ImageName, lock::Lock};

/// How often the remote may be silent before that is the answer.
const MOST_SILENCES: u32 = 4;

/// Where the books are.
#[derive(Debug, Clone)]
pub struct BooksRequest {
    /// A folder inside the repository: that of assay.hcl.
    pub folder: PathBuf,
    /// The protected branch.
    pub branch: String,
    /// The remote, a name or URL; by default git's own choice, else `origin`.
    pub remote: Option<String>,
    /// What git is run with; usually `environment_of_process`.
    pub environment: Environment,
}

/// One commit, as parsed data. Reads are made when they are asked for.
#[derive(Debug, Clone)]
pub struct Books {
    repository: Repository,
    folder: PathBuf,
    environment: Environment,
    commit: String,
}

/// What is to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Paths from the repository's root and what they shall hold; none: the file goes.
    pub files: Vec<(String, Option<Vec<u8>>)>,
    /// The commit's message.
    pub message: String,
    /// Annotated tags on the commit.
    pub tags: Vec<NewTag>,
}

/// An annotated tag to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTag {
    /// `<image>/<state>/<yyyymmdd>-<run>`.
    pub name: String,
    /// Its message.
    pub message: String,
}

/// A change, and how hard to try.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// Which books.
    pub books: BooksRequest,
    /// Push to this branch instead, for repositories whose protected branch takes only pull requests.
    pub open_branch: Option<String>,
    /// How long a race is run.
    pub patience: Patience,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The commit that holds the edit; the branch's tip where nothing had to change.
    pub commit: String,
    /// The branch.
    pub branch: String,
    /// The remote without credentials.
    pub remote: String,
    /// Whether anything was pushed; false: everything was there already.
    pub pushed: bool,
    /// Paths that were written or taken away.
    pub files: Vec<String>,
    /// The edit's tags.
    pub tags: Vec<String>,
    /// How many pushes were tried.
    pub tries: u32,
}

/// Why nothing was written: the edit itself refused, or git.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E: std::error::Error + 'static> {
    /// What the edit said to the books as they are now.
    #[error(transparent)]
    Edit(E),
    /// git.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Books {
    /// The books at a commit that is here (`HEAD`, a branch, an id). Fails where there is no repository or no such commit.
    pub async fn at(request: &BooksRequest, commit: &str) -> Result<Self, LedgerError> {
        let in_git = |source| LedgerError::Git { folder: request.folder.clone(), source: Box::new(source) };
        let repository = Repository::open(&request.folder, &request.environment).await.map_err(in_git)?;
        let found = repository.commit_of(commit).await.map_err(in_git)?;
        let found = found.ok_or_else(|| {
            in_git(GitError::Strange {
                verb: "rev-parse".to_owned(),
                answer: super::words::clean(commit),
                expected: "a commit that is here",
            })
        })?;
        Ok(Self::of(request, repository, found))
    }

    /// The books at the tip of the remote's protected branch.
    pub async fn open(request: &BooksRequest) -> Result<Self, LedgerError> {
        let mut writer = Writer::open(request, &request.branch, Patience::default()).await?;
        loop {
            if let Some(books) = writer.look(request).await? {
                return Ok(books);
            }
            tokio::time::sleep(pause(writer.tries + writer.silences)).await;
        }
    }

    fn of(request: &BooksRequest, repository: Repository, commit: String) -> Self {
        Self { repository, folder: request.folder.clone(), environment: request.environment.clone(), commit }
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The commit's id.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The bytes of a file, by its path from the repository's root; `None` where there is none.
    pub async fn file(&self, path: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        self.repository.read(&self.commit, path).await.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// The paths of the files in a folder (with `/` at its end) and below, from the repository's root.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, LedgerError> {
        let listed = self.repository.list(&self.commit, folder).await;
        let listed = listed.map_err(|source| LedgerError::git(&self.repository, source))?;
        Ok(listed.into_iter().map(|(path, _)| path).collect())
    }

    /// The lock of an image; one without entries where there is no file. Fails on a file that assay cannot have written.
    pub async fn lock(&self, image: &ImageName) -> Result<Lock, LedgerError> {
        let path = lock_file::path(image);
        let Some(bytes) = self.file(&path).await? else { return Ok(Lock::new(image.clone())) };
        lock_file::read(&path, &String::from_utf8_lossy(&bytes))
            .map_err(|source| LedgerError::plan(&self.commit, PlanError::File(source)))
    }

    /// The candidates of an image that wait, newest test first.
    pub async fn candidates(&self, image: &ImageName) -> Result<Vec<Candidate>, LedgerError> {
        let mut found = Vec::new();
        for path in self.list(&format!("images/{image}/candidates/")).await? {
            let Some(bytes) = self.file(&path).await?.filter(|_| path.ends_with(".hcl")) else { continue };
            let candidate = candidate_file::read(&path, &String::from_utf8_lossy(&bytes));
            found.push(candidate.map_err(|source| LedgerError::plan(&self.commit, PlanError::File(source)))?);
        }
        found.sort_by_key(|c| std::cmp::Reverse((c.tested_at.parse::<jiff::Timestamp>().ok(), c.run)));
        Ok(found)
    }

    /// The source digest of an image's inputs as this commit holds them; see [`super::provenance`]. `Err` says in words why there is none.
    pub async fn source_digest(&self, inputs: &[String], projections: &[String]) -> Result<Digest, String> {
        source_digest_of_commit(&self.folder, &self.environment, &self.commit, inputs, projections).await
    }
}

/// Changes the protected branch: `edit` is asked what to change for the tip that is there, and asked again for each tip that another writer
/// was faster with; what it answers goes out as one commit and its tags in one atomic push. An edit that changes nothing makes no commit. A
/// push whose answer was lost is found as already there, if `edit` answers so.
pub async fn write<E, F>(request: &WriteRequest, mut edit: F) -> Result<Written, WriteError<E>>
where
    E: std::error::Error + 'static,
    F: AsyncFnMut(&Books) -> Result<Edit, E>,
{
    let branch = request.open_branch.as_deref().unwrap_or(&request.books.branch);
    let mut writer = Writer::open(&request.books, branch, request.patience).await?;
    loop {
        if let Some(books) = writer.look(&request.books).await? {
            let wanted = edit(&books).await.map_err(WriteError::Edit)?;
            if let Some(written) = writer.push(&books, wanted).await? {
                return Ok(written);
            }
        }
        writer.wait().await?;
    }
}

/// The state of one push race.
struct Writer {
    repository: Repository,
    remote: String,
    branch: String,
    patience: Patience,
    started: Instant,
    tries: u32,
    silences: u32,
    pushed: Option<String>,
}

impl Writer {
    async fn open(request: &BooksRequest, branch: &str, patience: Patience) -> Result<Self, LedgerError> {
        let in_git = |source| LedgerError::Git { folder: request.folder.clone(), source: Box::new(source) };
        let repository = Repository::open(&request.folder, &request.environment).await.map_err(in_git)?;
        let remote = branch::remote(&repository, request.remote.as_deref(), branch).await.map_err(in_git)?;
        let branch = branch.to_owned();
        let started = Instant::now();
        Ok(Self { repository, remote, branch, patience, started, tries: 0, silences: 0, pushed: None })
    }

    /// The books at the tip of the protected branch. `None`: look again.
    async fn look(&mut self, request: &BooksRequest) -> Result<Option<Books>, LedgerError> {
        let reference = format!("refs/heads/{}", request.branch);
        let references = match self.repository.remote_references(&self.remote, &[&reference]).await {
            Ok(references) => references,
            Err(error) => return self.no_answer(error).map(|()| None),
        };
        let Some(tip) = references.get(&reference).cloned() else {
            let (remote, branch) = (redact(&self.remote), request.branch.clone());
            return Err(LedgerError::NoBranch { remote, branch });
        };
        if self.commit_of(&tip).await?.is_none() {
            if let Err(error) = self.repository.fetch(&self.remote, &reference).await {
                return self.no_answer(error).map(|()| None);
            }
            if self.commit_of(&tip).await?.is_none() {
                // It moved between the two calls.
                self.tries += 1;
                return Ok(None);
            }
        }
        Ok(Some(Books::of(request, self.repository.clone(), tip)))
    }

    async fn commit_of(&self, name: &str) -> Result<Option<String>, LedgerError> {
        self.repository.commit_of(name).await.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// Pushes the edit on top of `books`. `None`: another writer was faster, or the remote was silent.
    async fn push(&mut self, books: &Books, edit: Edit) -> Result<Option<Written>, LedgerError> {
        let branch = self.branch.clone();
        let in_git = |error: GitError| LedgerError::plan(&branch, error);
        let mut changes = Vec::new();
        for (path, bytes) in &edit.files {
            let blob = match bytes {
                Some(bytes) => Some(self.repository.write_blob(bytes).await.map_err(in_git)?),
                None => None,
            };
            changes.push((path.clone(), blob));
        }
        let before = self.repository.tree_of(&books.commit).await.map_err(in_git)?;
        let tree = self.repository.tree_with(Some(&books.commit), &changes).await.map_err(in_git)?;
        let changed = tree != before;
        let commit = match changed {
            true => self.repository.commit_tree(&tree, Some(&books.commit), &edit.message).await.map_err(in_git)?,
            false => books.commit.clone(),
        };
        let mut refspecs: Vec<String> = changed.then(|| format!("{commit}:refs/heads/{branch}")).into_iter().collect();
        refspecs.extend(self.tags(&commit, &edit.tags).await?);
        let written = Written {
            pushed: !refspecs.is_empty() || self.pushed.is_some(),
            commit,
            branch: branch.clone(),
            remote: redact(&self.remote),
            files: if changed { edit.files.into_iter().map(|(path, _)| path).collect() } else { Vec::new() },
            tags: edit.tags.into_iter().map(|tag| tag.name).collect(),
            tries: self.tries + u32::from(!refspecs.is_empty()),
        };
        if refspecs.is_empty() {
            return Ok(Some(written));
        }
        self.tries += 1;
        self.pushed = Some(written.commit.clone());
        match self.repository.push(&self.remote, &refspecs).await.map_err(in_git)? {
            PushAnswer::Done => Ok(Some(written)),
            PushAnswer::Race => Ok(None),
            PushAnswer::Refused(words) => {
                let (remote, branch) = (redact(&self.remote), branch);
                Err(LedgerError::Refused { remote, branch, words })
            }
            PushAnswer::Silence(words) => self.silence(words).map(|()| None),
        }
    }

    /// What to push for the tags that the remote does not have. A tag that is there is left as it is: its name carries the run.
    async fn tags(&mut self, commit: &str, tags: &[NewTag]) -> Result<Vec<String>, LedgerError> {
        let mut refspecs = Vec::new();
        for tag in tags {
            let reference = format!("refs/tags/{}", tag.name);
            let there = self.repository.remote_references(&self.remote, &[&reference]).await;
            let there = there.map_err(|error| LedgerError::plan(&self.branch, error))?;
            if there.contains_key(&reference) {
                continue;
            }
            let object = self.repository.tag_object(&tag.name, commit, &tag.message).await;
            let object = object.map_err(|error| LedgerError::plan(&self.branch, error))?;
            refspecs.push(format!("{object}:{reference}"));
        }
        Ok(refspecs)
    }

    /// Waits before the next look; fails where patience is over.
    async fn wait(&self) -> Result<(), LedgerError> {
        if self.tries >= self.patience.tries.max(1) && self.started.elapsed() >= self.patience.time {
            let (remote, branch) = (redact(&self.remote), self.branch.clone());
            return Err(LedgerError::Raced { remote, branch, tries: self.tries });
        }
        tokio::time::sleep(pause(self.tries + self.silences)).await;
        Ok(())
    }

    fn no_answer(&mut self, error: GitError) -> Result<(), LedgerError> {
        let words = match error {
            GitError::Failed { words, .. } => words,
            GitError::Timeout { .. } => error.to_string(),
            source => return Err(LedgerError::git(&self.repository, source)),
        };
        self.silence(words)
    }

    fn silence(&mut self, words: String) -> Result<(), LedgerError> {
        self.silences += 1;
        if self.silences >= MOST_SILENCES || is_hopeless(&words) {
            return Err(LedgerError::Unreachable { remote: redact(&self.remote), words });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::world::World;

    fn request(world: &World, clone: &str) -> WriteRequest {
        WriteRequest {
            books: BooksRequest {
                folder: world.path(clone),
                branch: "main".to_owned(),
                remote: None,
                environment: world.environment.clone(),
            },
            open_branch: None,
            patience: Patience::default(),
        }
    }

    #[tokio::test]
    async fn an_edit_is_computed_anew_for_every_tip_and_nothing_is_lost() {
        let world = World::new();
        let writers = (0..4).map(|number| {
            let clone = format!("clone{number}");
            world.git(".", &["clone", "-q", "remote.git", &clone]);
            let request = request(&world, &clone);
            async move {
                let written = write(&request, async |books: &Books| {
                    let before = books.file("images/list").await?.unwrap_or_default();
                    let text = [before, format!("{number}\n").into_bytes()].concat();
                    let files = vec![("images/list".to_owned(), Some(text))];
                    Ok::<_, LedgerError>(Edit { files, message: format!("writer {number}\n"), tags: Vec::new() })
                });
                written.await.expect("written")
            }
        });
        futures::future::join_all(writers).await;
        let mut lines: Vec<String> =
            world.git("remote.git", &["show", "main:images/list"]).lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["0", "1", "2", "3"]);
        assert_eq!(world.git("remote.git", &["rev-list", "--count", "--merges", "main"]), "0");
    }

    #[tokio::test]
    async fn an_edit_that_changes_nothing_makes_no_commit_and_the_checkout_stays() {
        let world = World::new();
        let (before, tip) = (world.checkout_state("clone"), world.git("remote.git", &["rev-parse", "main"]));
        let request = request(&world, "clone");
        let written = write(&request, async |books: &Books| {
            let same = books.file("README.md").await?;
            let files = vec![("README.md".to_owned(), same)];
            Ok::<_, LedgerError>(Edit { files, message: "nothing\n".to_owned(), tags: Vec::new() })
        });
        let written = written.await.expect("nothing to do");
        assert_eq!((written.pushed, written.files.len()), (false, 0));
        assert_eq!(world.git("remote.git", &["rev-parse", "main"]), tip);
        assert_eq!(world.checkout_state("clone"), before);
    }

    #[tokio::test]
    async fn the_digest_of_a_commit_is_that_of_its_checkout() {
        let world = World::new();
        let inputs = ["packer/**".to_owned()];
        let books = Books::open(&request(&world, "clone").books).await.expect("opens");
        let folder = world.path("clone");
        let learned = crate::ledger::learn(crate::ledger::ProvenanceRequest {
            folder: &folder,
            environment: &world.environment,
            owner: None,
            inputs: &inputs,
            projections: &[],
        });
        let there = books.source_digest(&inputs, &[]).await.expect("a digest");
        assert_eq!(Some(there), learned.await.provenance.source_digest);
    }
}
