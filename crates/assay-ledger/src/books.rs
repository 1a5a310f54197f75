//! The books: what one commit of the protected branch says, as parsed data. It owns reading locks, candidates and files of a commit without a
//! checkout; it refuses to change anything (see `write`).

use std::path::PathBuf;

pub use super::write::{LedgerEdit, NewTag, WriteError, WriteRequest, WrittenChange, write};
use super::{
    branch,
    commit::LedgerError,
    git::{GitEnvironment, GitError},
    hcl_text::HclError,
    input_digest::digest_of_files_of_commit,
    lock_file,
    repository::Repository,
    source_digest::SourceDigest,
    write,
};
use assay_model::{Digest, ImageName, lock::Lock};

/// Where the books are.
#[derive(Debug, Clone)]
pub struct BooksRequest {
    /// A folder inside the repository: that of assay.hcl.
    pub folder: PathBuf,
    /// The protected branch.
    pub branch: String,
    /// The remote, a name or URL; by default the branch's own (`branch.<name>.remote`), else `origin`.
    pub remote: Option<String>,
    /// What git is run with; usually `environment_of_process`.
    pub environment: GitEnvironment,
}

/// One commit, as parsed data. Reads are made when they are asked for.
#[derive(Debug, Clone)]
pub struct LedgerSnapshot {
    repository: Repository,
    folder: PathBuf,
    environment: GitEnvironment,
    commit: String,
}

impl LedgerSnapshot {
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
        let (repository, tip) = write::tip(request).await?;
        Ok(Self::of(request, repository, tip))
    }

    pub(super) fn of(request: &BooksRequest, repository: Repository, commit: String) -> Self {
        Self { repository, folder: request.folder.clone(), environment: request.environment.clone(), commit }
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

    /// A path from the books' folder (that of assay.hcl) as a path from the repository's root.
    pub async fn from_root(&self, path: &str) -> Result<String, LedgerError> {
        let prefix = self.repository.location().prefix(&self.folder);
        let prefix = prefix.map_err(|source| LedgerError::git(&self.repository, source))?;
        Ok(format!("{prefix}{}", path.trim_start_matches("./")))
    }

    /// Why this commit is not what pushes go on from: the remote is read from one place and written to at another (a mirror), and the branch is elsewhere there. `None`: it is, or there is but
    /// one place, or the other one cannot be asked.
    pub async fn lags(&self, request: &BooksRequest) -> Result<Option<String>, LedgerError> {
        let found = async || {
            let remote =
                match branch::remote_of_protected(&self.repository, request.remote.as_deref(), &request.branch).await {
                    Err(GitError::NoRemote { .. }) => return Ok(None),
                    remote => remote?,
                };
            let git = self.repository.git();
            let read = git.ask(&["remote", "get-url", "--", &remote]).await?;
            let written = git.ask(&["remote", "get-url", "--push", "--", &remote]).await?;
            let Some(written) = written.filter(|written| read.as_ref() != Some(written)) else { return Ok(None) };
            let name = format!("refs/heads/{}", request.branch);
            let Ok(there) = self.repository.remote_references(&written, &[&name]).await else { return Ok(None) };
            let tip = there.get(&name).filter(|tip| **tip != self.commit);
            Ok(tip.map(|tip| {
                let (branch, commit) = (&request.branch, &self.commit);
                format!("{remote} shows {branch} at {commit}, and where it is pushed to it is at {tip}: the lock that was read may be older (a mirror that lags behind?); run it again later")
            }))
        };
        found().await.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// The repository that the commit is in.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The files in a folder (with `/` at its end) and below: path and blob.
    pub(super) async fn tree(&self, folder: &str) -> Result<Vec<(String, String)>, LedgerError> {
        let listed = self.repository.list(&self.commit, folder).await;
        listed.map_err(|source| LedgerError::git(&self.repository, source))
    }

    /// The bytes of blobs, in this order; `None` for one of more than `most` bytes.
    pub(super) async fn blobs_up_to(&self, ids: &[&str], most: u64) -> Result<Vec<Option<Vec<u8>>>, LedgerError> {
        let mut all = Vec::new();
        let each = async |_: &str, bytes: Option<&[u8]>| all.push(bytes.map(<[u8]>::to_vec));
        self.repository.blobs(ids, most, each).await.map_err(|source| LedgerError::git(&self.repository, source))?;
        Ok(all)
    }

    /// The digests of blobs, in this order; `None` for one of more than `most` bytes.
    pub(super) async fn digests(&self, ids: &[&str], most: u64) -> Result<Vec<Option<Digest>>, LedgerError> {
        let mut all = Vec::new();
        let each = async |_: &str, bytes: Option<&[u8]>| all.push(bytes.map(Digest::of));
        self.repository.blobs(ids, most, each).await.map_err(|source| LedgerError::git(&self.repository, source))?;
        Ok(all)
    }

    /// The lock of an image; one without entries where there is no file. Fails on a file that assay cannot have written.
    pub async fn lock(&self, image: &ImageName) -> Result<Lock, LedgerError> {
        let path = lock_file::path(image);
        let Some(bytes) = self.file(&path).await? else { return Ok(Lock::new(image.clone())) };
        lock_file::read_of(image, &path, &String::from_utf8_lossy(&bytes)).map_err(|source| self.unreadable(source))
    }

    /// A file of this commit that is needed and cannot be read.
    pub(super) fn unreadable(&self, source: HclError) -> LedgerError {
        LedgerError::Unreadable { commit: self.commit.clone(), source: Box::new(source) }
    }

    /// The source digest of an image's inputs as this commit holds them, with what assay.hcl says of its `build`; see [`super::provenance`]. `Err` says in words why there is none.
    pub async fn source_digest(
        &self,
        inputs: &[String],
        projections: &[String],
        build: &str,
    ) -> Result<SourceDigest, String> {
        let location = self.repository.location();
        let (environment, commit) = (&self.environment, &self.commit);
        let files = digest_of_files_of_commit(location, &self.folder, environment, commit, inputs, projections).await?;
        Ok(SourceDigest::of(files, build))
    }
}
