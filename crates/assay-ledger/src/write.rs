//! The one way to change the protected branch: an edit, computed anew from parsed data for each tip that another writer made, goes out as one
//! commit and its annotated tags in one atomic push. It owns what a rerun and a lost answer find; it refuses to know which edits are right
//! (`run` decides), to force, and to touch the user's work tree, index and branches.

use super::{
    RacePatience,
    books::{BooksRequest, LedgerSnapshot},
    branch,
    commit::LedgerError,
    git::GitError,
    race::{PushOutcome, PushRace},
    remote::RemoteReferences,
    repository::Repository,
    tag_place::TagPlace,
};

/// All tags, for one look at the remote: an edit may have made its own before, and any other may exclude them (`base` and `base/gold/…`).
pub(super) const ALL_TAGS: &str = "refs/tags/*";

/// What is to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerEdit {
    /// Paths from the repository's root and what they shall hold; none: the file goes.
    pub files: Vec<(String, Option<Vec<u8>>)>,
    /// The commit's message.
    pub message: String,
    /// Annotated tags on the commit.
    pub tags: Vec<NewTag>,
    /// Tags of earlier edits: made where nothing of their name is there.
    pub earlier_tags: Vec<NewTag>,
}

/// An annotated tag to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTag {
    /// `<image>/<state>/<yyyymmdd>-<run>`.
    pub name: String,
    /// Its message. The same tag always has the same one.
    pub message: String,
}

/// A change, and how hard to try.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// Which books.
    pub books: BooksRequest,
    /// Push to this branch instead, for repositories whose protected branch takes only pull requests. It begins at the protected branch's tip;
    /// where it exists and holds that tip, the edit goes on top of it.
    pub open_branch: Option<String>,
    /// How long a race is run.
    pub patience: RacePatience,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenChange {
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
    /// The edit's tags, as they now are on the remote; none with an open branch.
    pub tags: Vec<String>,
    /// The edit's tags that were not pushed: they belong to the protected branch, once it holds the edit.
    pub tags_to_come: Vec<String>,
    /// What the user should know of tags that stand where these belong.
    pub warnings: Vec<String>,
    /// What the remote said to the push, escaped and bounded: with an open branch many name the page that opens its pull request.
    pub remote_words: String,
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

/// Changes the protected branch: `edit` is asked what to change for the tip that is there, and asked again for each tip that another writer
/// was faster with. An edit that changes nothing makes no commit; its tags are made up for where they are missing. A push whose answer was lost
/// is looked up, and not made again. A tag that somebody else made costs a warning, and never the edit: the lock is what counts. Fails with exit 5 where the open
/// branch is stale.
pub async fn write<E, F>(request: &WriteRequest, mut edit: F) -> Result<WrittenChange, WriteError<E>>
where
    E: std::error::Error + 'static,
    F: AsyncFnMut(&LedgerSnapshot) -> Result<LedgerEdit, E>,
{
    let mut writer = LedgerWriter::open(request).await?;
    loop {
        if let Some(looked) = writer.look().await? {
            if let Some(written) = writer.settled(&looked).await? {
                return Ok(written);
            }
            let books = LedgerSnapshot::of(&request.books, writer.race.repository().clone(), looked.base.clone());
            let wanted = edit(&books).await.map_err(WriteError::Edit)?;
            if let Some(written) = writer.push(&looked, wanted).await? {
                return Ok(written);
            }
        }
        writer.race.wait(writer.target()).await?;
    }
}

/// The tip of the protected branch, brought here.
pub(super) async fn tip(request: &BooksRequest) -> Result<(Repository, String), LedgerError> {
    let request = WriteRequest { books: request.clone(), open_branch: None, patience: RacePatience::default() };
    let mut writer = LedgerWriter::open(&request).await?;
    loop {
        if let Some(looked) = writer.look().await? {
            return Ok((writer.race.repository().clone(), looked.base));
        }
        writer.race.wait(writer.target()).await?;
    }
}

/// One write.
struct LedgerWriter {
    race: PushRace,
    protected: String,
    open: Option<String>,
    /// The last push that the remote may have taken without our knowing.
    attempt: Option<WriteAttempt>,
}

/// One look at the remote.
struct RemoteLook {
    /// The commit that the edit goes on top of.
    base: String,
    references: RemoteReferences,
}

struct WriteAttempt {
    written: WrittenChange,
    refspecs: Vec<String>,
}

impl LedgerWriter {
    async fn open(request: &WriteRequest) -> Result<Self, LedgerError> {
        let books = &request.books;
        let in_git = |source| LedgerError::Git { folder: books.folder.clone(), source: Box::new(source) };
        let repository = Repository::open(&books.folder, &books.environment).await.map_err(in_git)?;
        let open = match request.open_branch.as_deref() {
            Some(name) if name == books.branch => {
                return Err(branch::BranchError::Protected { name: name.to_owned() }.into());
            }
            Some(name) => Some(branch::checked(&repository, name, "--open-branch").await?),
            None => None,
        };
        let remote =
            branch::remote_of_protected(&repository, books.remote.as_deref(), &books.branch).await.map_err(in_git)?;
        let race = PushRace::new(repository, remote, request.patience);
        Ok(Self { race, protected: books.branch.clone(), open, attempt: None })
    }

    /// The branch that is pushed to.
    fn target(&self) -> &str {
        self.open.as_deref().unwrap_or(&self.protected)
    }

    /// What the remote has now. `None`: look again.
    async fn look(&mut self) -> Result<Option<RemoteLook>, LedgerError> {
        let protected = format!("refs/heads/{}", self.protected);
        let open = self.open.as_ref().map(|name| format!("refs/heads/{name}"));
        let mut names = vec![protected.as_str(), ALL_TAGS];
        names.extend(open.as_deref());
        let Some(references) = self.race.references(&names).await? else { return Ok(None) };
        let Some(tip) = references.get(&protected).cloned() else {
            return Err(LedgerError::NoBranch { remote: self.race.shown_remote(), branch: self.protected.clone() });
        };
        if !self.race.bring(&protected, &tip).await? {
            return Ok(None);
        }
        let base = match open.as_ref().and_then(|open| references.get_key_value(open)) {
            Some((open, begun)) => match self.race.bring(open, begun).await? {
                true => self.continued(&tip, begun).await?,
                false => return Ok(None),
            },
            None => tip,
        };
        Ok(Some(RemoteLook { base, references }))
    }

    /// Where an edit goes on an open branch that exists: on top of it where it holds the protected branch's tip, on that tip where that holds all of
    /// it. Anything else would need a merge that nobody reviewed, or force.
    async fn continued(&self, tip: &str, begun: &str) -> Result<String, LedgerError> {
        if self.race.is_ancestor(tip, begun).await? {
            return Ok(begun.to_owned());
        }
        if self.race.is_ancestor(begun, tip).await? {
            return Ok(tip.to_owned());
        }
        let (remote, branch, protected) = (self.race.shown_remote(), self.target().to_owned(), self.protected.clone());
        let shallow = self.race.repository().is_shallow().await;
        // Where commits are left out, nobody can say here which of the two holds the other.
        match shallow.map_err(|source| LedgerError::git(self.race.repository(), source))? {
            true => Err(LedgerError::ShallowHistory { branch, protected }),
            false => Err(LedgerError::StaleBranch { remote, branch, protected }),
        }
    }

    /// Whether the last push arrived although its answer did not; what of it is missing is pushed.
    async fn settled(&mut self, looked: &RemoteLook) -> Result<Option<WrittenChange>, LedgerError> {
        let Some(attempt) = self.attempt.take() else { return Ok(None) };
        if !self.race.is_ancestor(&attempt.written.commit, &looked.base).await? {
            return Ok(None);
        }
        let there = |refspec: &String| {
            refspec.split_once(':').is_some_and(|(_, name)| {
                name == format!("refs/heads/{}", self.target()) || looked.references.contains_key(name)
            })
        };
        let missing: Vec<String> = attempt.refspecs.iter().filter(|refspec| !there(refspec)).cloned().collect();
        if missing.is_empty() {
            return Ok(Some(WrittenChange { tries: self.race.tries(), ..attempt.written }));
        }
        self.send(attempt.written, missing).await
    }

    /// Pushes the edit on top of what was looked at. `None`: look again.
    async fn push(&mut self, looked: &RemoteLook, edit: LedgerEdit) -> Result<Option<WrittenChange>, LedgerError> {
        let target = self.target().to_owned();
        let (commit, changed) = self.commit(&looked.base, &edit).await?;
        let mut refspecs: Vec<String> = changed.then(|| format!("{commit}:refs/heads/{target}")).into_iter().collect();
        let mut found = FoundTags::default();
        let mut tags_to_come = Vec::new();
        if self.open.is_none() {
            let missing = |tag: &&NewTag| {
                let there = looked.references.contains_key(&format!("refs/tags/{}", tag.name));
                !there && !edit.tags.iter().any(|other| other.name == tag.name)
            };
            let missing: Vec<NewTag> = edit.earlier_tags.iter().filter(missing).cloned().collect();
            let tags: Vec<NewTag> = edit.tags.iter().chain(&missing).cloned().collect();
            let Some(tags) = self.tags(&looked.references, &commit, &tags).await? else { return Ok(None) };
            found = tags;
        } else {
            tags_to_come.extend(edit.tags.iter().map(|tag| tag.name.clone()));
        }
        refspecs.append(&mut found.refspecs);
        let written = WrittenChange {
            pushed: false,
            commit,
            branch: target,
            remote: self.race.shown_remote(),
            files: if changed { edit.files.into_iter().map(|(path, _)| path).collect() } else { Vec::new() },
            tags: found.names,
            tags_to_come,
            warnings: found.warnings,
            remote_words: String::new(),
            tries: self.race.tries(),
        };
        if refspecs.is_empty() { Ok(Some(written)) } else { self.send(written, refspecs).await }
    }

    async fn send(
        &mut self,
        written: WrittenChange,
        refspecs: Vec<String>,
    ) -> Result<Option<WrittenChange>, LedgerError> {
        let target = self.target().to_owned();
        let written = WrittenChange { pushed: true, ..written };
        match self.race.push(&target, &refspecs).await? {
            PushOutcome::Done(remote_words) => {
                Ok(Some(WrittenChange { remote_words, tries: self.race.tries(), ..written }))
            }
            // Without atomic pushes the branch may have been taken and a tag not.
            PushOutcome::Raced if refspecs.len() == 1 => Ok(None),
            PushOutcome::Raced | PushOutcome::Unknown => {
                self.attempt = Some(WriteAttempt { written, refspecs });
                Ok(None)
            }
        }
    }

    /// The commit with the edit on top of `base`, and whether it is a new one. An edit that changes nothing is in the commit that brought its
    /// first file.
    async fn commit(&self, base: &str, edit: &LedgerEdit) -> Result<(String, bool), LedgerError> {
        let repository = self.race.repository();
        let in_git = |error: GitError| LedgerError::plan(self.target(), error);
        let mut changes = Vec::new();
        for (path, bytes) in &edit.files {
            let blob = match bytes {
                Some(bytes) => Some(repository.write_blob(bytes).await.map_err(in_git)?),
                None => None,
            };
            changes.push((path.clone(), blob));
        }
        let mut changed = false;
        if !changes.is_empty() {
            let tree = repository.tree_with(Some(base), &changes).await.map_err(in_git)?;
            changed = tree != repository.tree_of(base).await.map_err(in_git)?;
            if changed {
                let commit = repository.commit_tree(&tree, Some(base), &edit.message).await.map_err(in_git)?;
                return Ok((commit, changed));
            }
        }
        match edit.files.first() {
            Some((path, _)) => Ok((repository.last_change(base, path).await.map_err(in_git)?, changed)),
            None => Ok((base.to_owned(), changed)),
        }
    }

    /// The edit's tags: where they are, and what is to be pushed for those that the remote does not have. `None`: look again.
    async fn tags(
        &mut self,
        references: &RemoteReferences,
        commit: &str,
        tags: &[NewTag],
    ) -> Result<Option<FoundTags>, LedgerError> {
        let mut found = FoundTags::default();
        let mut taken = references.clone();
        for tag in tags {
            let Some((place, warnings)) = self.race.tag_place(&taken, &tag.name, &tag.message).await? else {
                return Ok(None);
            };
            found.warnings.extend(warnings);
            match place {
                TagPlace::There(name) => found.names.push(name),
                TagPlace::Free(name) => {
                    let object = self.race.repository().tag_object(&name, commit, &tag.message).await;
                    let object = object.map_err(|error| LedgerError::plan(self.target(), error))?;
                    found.refspecs.push(format!("{object}:refs/tags/{name}"));
                    // Two tags of one edit never take the same name.
                    taken.insert(format!("refs/tags/{name}^{{}}"), commit.to_owned());
                    taken.insert(format!("refs/tags/{name}"), object);
                    found.names.push(name);
                }
                TagPlace::Blocked => {}
            }
        }
        Ok(Some(found))
    }
}

/// The tags of an edit.
#[derive(Debug, Default)]
struct FoundTags {
    /// The names that they have.
    names: Vec<String>,
    /// What is to be pushed.
    refspecs: Vec<String>,
    /// What the user should know.
    warnings: Vec<String>,
}
