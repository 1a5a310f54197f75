//! The candidate files of an image in one commit. A file that cannot be read costs what it could speak for, its own run, and stops nobody:
//! anybody whose pull request is merged can add one. It refuses to drop such a file in silence.

use std::fmt;

use super::{LedgerError, LedgerSnapshot, candidate_file, hcl_text::HclError, lock_file};
use assay_model::{AmiId, Candidate, ImageName, RunId, lock::Lock};

/// What the candidate files of an image say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CandidateFiles {
    /// Those that wait, newest test first.
    pub candidates: Vec<Candidate>,
    /// Those that cannot be read.
    pub unreadable: Vec<UnreadableFile>,
}

/// A file in `images/` that is not as assay writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableFile {
    /// File, line and reason.
    pub error: HclError,
    /// What stands in it, as far as it was read.
    text: String,
}

impl UnreadableFile {
    pub(super) fn new(error: HclError, text: String) -> Self {
        Self { error, text }
    }

    /// The run whose candidate file this is, by its name; `None`: any run of the image may be meant.
    pub fn run(&self) -> Option<RunId> {
        self.error.file.rsplit('/').next()?.strip_suffix(".hcl")?.parse().ok()
    }

    /// Whether it may speak of an AMI: its id stands somewhere in the text.
    pub fn mentions(&self, ami: &AmiId) -> bool {
        self.text.contains(ami.as_str())
    }
}

impl fmt::Display for UnreadableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.error.file;
        write!(f, "{}; it is passed over: restore it (git log -p -- {file}), or remove it", self.error)
    }
}

/// An image's files in one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFiles {
    /// The image.
    pub image: ImageName,
    /// Its lock; one without entries where there is no file.
    pub lock: Result<Lock, UnreadableFile>,
    /// Its candidates.
    pub candidates: CandidateFiles,
}

impl ImageFiles {
    fn new(image: ImageName) -> Self {
        Self { lock: Ok(Lock::new(image.clone())), image, candidates: CandidateFiles::default() }
    }
}

impl LedgerSnapshot {
    /// The candidates of an image that wait, newest test first. Files that cannot be read are passed over with a warning.
    pub async fn candidates(&self, image: &ImageName) -> Result<Vec<Candidate>, LedgerError> {
        let found = self.candidate_files(image).await?;
        found.unreadable.iter().for_each(|file| tracing::warn!("{file}"));
        Ok(found.candidates)
    }

    /// What the candidate files of an image say.
    pub async fn candidate_files(&self, image: &ImageName) -> Result<CandidateFiles, LedgerError> {
        let mut found = CandidateFiles::default();
        let files = self.tree(&format!("images/{image}/candidates/")).await?;
        let files: Vec<(String, String)> = files.into_iter().filter(|(path, _)| path.ends_with(".hcl")).collect();
        for ((path, _), text) in files.iter().zip(self.texts(&files, candidate_file::MAX_BYTES).await?) {
            found.add(image, path, text);
        }
        found.sort();
        Ok(found)
    }

    /// The candidate of one run that waits, from its own file alone. Fails where that cannot be read.
    pub async fn candidate(&self, image: &ImageName, run: RunId) -> Result<Option<Candidate>, LedgerError> {
        let path = candidate_file::path_of(image, run);
        let Some(bytes) = self.file(&path).await? else { return Ok(None) };
        let read = read_candidate(image, &path, &String::from_utf8_lossy(&bytes));
        read.map(Some).map_err(|source| self.unreadable(source))
    }

    /// The files of every image, by one look at the commit.
    pub async fn images(&self) -> Result<Vec<ImageFiles>, LedgerError> {
        let files = self.tree("images/").await?;
        let files: Vec<(String, String)> = files.into_iter().filter(|(path, _)| image_of(path).is_some()).collect();
        let mut images: Vec<ImageFiles> = Vec::new();
        for ((path, _), text) in files.iter().zip(self.texts(&files, lock_file::MAX_BYTES).await?) {
            let Some((Ok(image), kind)) = image_of(path).map(|(name, kind)| (name.parse::<ImageName>(), kind)) else {
                // No AMI can be tagged with a name that is none.
                continue;
            };
            let place = images.iter().position(|known| known.image == image).unwrap_or_else(|| {
                images.push(ImageFiles::new(image.clone()));
                images.len() - 1
            });
            match kind {
                FileKind::Candidate => images[place].candidates.add(&image, path, text),
                FileKind::Lock => images[place].lock = read_lock(&image, path, text),
            }
        }
        images.iter_mut().for_each(|image| image.candidates.sort());
        Ok(images)
    }

    /// The texts of files; an error in words where one is too large.
    async fn texts(&self, files: &[(String, String)], most: u64) -> Result<Vec<Result<String, String>>, LedgerError> {
        let ids: Vec<&str> = files.iter().map(|(_, blob)| blob.as_str()).collect();
        let texts = self.blobs_up_to(&ids, most).await?.into_iter().map(|bytes| match bytes {
            Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            None => Err(format!("the file is larger than {most} bytes")),
        });
        Ok(texts.collect())
    }
}

impl CandidateFiles {
    fn add(&mut self, image: &ImageName, path: &str, text: Result<String, String>) {
        let (read, text) = match text {
            Ok(text) => (read_candidate(image, path, &text), text),
            Err(message) => (Err(HclError { file: path.to_owned(), line: 1, message }), String::new()),
        };
        match read {
            Ok(candidate) => self.candidates.push(candidate),
            Err(error) => self.unreadable.push(UnreadableFile::new(error, text)),
        }
    }

    fn sort(&mut self) {
        self.candidates.sort_by_key(|c| std::cmp::Reverse((c.tested_at.parse::<jiff::Timestamp>().ok(), c.run)));
    }
}

/// Reads a candidate file where it stands: it must be of this image, and of the run that its name says.
fn read_candidate(image: &ImageName, path: &str, text: &str) -> Result<Candidate, HclError> {
    let candidate = candidate_file::read(path, text)?;
    let due = candidate_file::path(&candidate);
    if path == due && candidate.image == *image {
        return Ok(candidate);
    }
    let message = format!("this is the candidate that belongs to {due}");
    Err(HclError { file: path.to_owned(), line: 2, message })
}

fn read_lock(image: &ImageName, path: &str, text: Result<String, String>) -> Result<Lock, UnreadableFile> {
    match text {
        Ok(text) => lock_file::read_of(image, path, &text).map_err(|error| UnreadableFile::new(error, text)),
        Err(message) => Err(UnreadableFile::new(HclError { file: path.to_owned(), line: 1, message }, String::new())),
    }
}

/// What a file in `images/` is by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Lock,
    Candidate,
}

/// The name of the image that a path in `images/` belongs to, and what the file is; `None` for what is neither lock nor candidate.
pub(super) fn image_of(path: &str) -> Option<(&str, FileKind)> {
    let inside = path.strip_prefix("images/")?;
    match inside.strip_suffix(".lock.hcl") {
        Some(name) if !name.contains('/') => Some((name, FileKind::Lock)),
        _ => {
            let (name, _) = inside.strip_suffix(".hcl")?.split_once("/candidates/")?;
            Some((name, FileKind::Candidate))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BooksRequest, fixtures, world::GitWorld};

    async fn books(world: &GitWorld) -> LedgerSnapshot {
        world.git("clone", &["push", "-q", "origin", "HEAD:main"]);
        let environment = world.environment.clone();
        let request =
            BooksRequest { folder: world.path("clone"), branch: "main".to_owned(), remote: None, environment };
        LedgerSnapshot::open(&request).await.expect("books")
    }

    fn base() -> ImageName {
        "base".parse().expect("a name")
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_costs_its_own_run_alone() {
        let world = GitWorld::new();
        let candidate = fixtures::candidate();
        let other = "01KAQ3B6G0R8ZJ5Q2X7V9N4M99";
        world.commit_candidate("clone", &candidate);
        world.commit_file("clone", "images/base/candidates/notes.hcl", "junk\n");
        world.commit_file("clone", &format!("images/base/candidates/{other}.hcl"), "<<<<<<< HEAD\n");
        world.commit_file("clone", "images/zzz/candidates/n.hcl", "junk\n");
        world.commit_file("clone", "images/zzz.lock.hcl", "junk\n");
        world.commit_lock("clone", &fixtures::lock());
        let books = books(&world).await;

        assert_eq!(books.candidates(&base()).await.expect("candidates"), std::slice::from_ref(&candidate));
        let files = books.candidate_files(&base()).await.expect("files");
        let names: Vec<String> = files.unreadable.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(
            names[1].starts_with("images/base/candidates/notes.hcl:1: ") && names[1].contains("remove it"),
            "{names:?}"
        );
        assert_eq!(files.unreadable.iter().map(UnreadableFile::run).collect::<Vec<_>>(), [other.parse().ok(), None]);

        assert_eq!(books.candidate(&base(), candidate.run).await.expect("its own file"), Some(candidate));
        let broken = books.candidate(&base(), other.parse().expect("a run")).await.expect_err("its own file is broken");
        let words = assay_model::cause::chain(&broken);
        assert!(words.contains(&format!("images/base/candidates/{other}.hcl:1: ")), "{words}");
        assert!(!words.contains("committed"), "nothing was to be committed: {words}");

        let images = books.images().await.expect("images");
        let of = |name: &str| images.iter().find(|image| image.image.as_str() == name).expect(name);
        assert_eq!(of("base").lock, Ok(fixtures::lock()));
        let lost = of("zzz").lock.clone().expect_err("junk");
        assert_eq!(lost.error.file, "images/zzz.lock.hcl");
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_not_parsed() {
        let world = GitWorld::new();
        let text = format!("{}# {}\n", candidate_file::write(&fixtures::candidate()), "x".repeat(300_000));
        world.commit_file("clone", &candidate_file::path(&fixtures::candidate()), &text);
        let books = books(&world).await;
        let files = books.candidate_files(&base()).await.expect("files");
        assert_eq!((files.candidates.len(), files.unreadable.len()), (0, 1));
        assert!(files.unreadable[0].error.message.contains("larger than 262144 bytes"), "{:?}", files.unreadable);
        assert!(books.candidate(&base(), fixtures::candidate().run).await.is_err());
    }

    #[tokio::test]
    async fn many_files_are_read_by_few_calls() {
        let mut world = GitWorld::new();
        std::fs::create_dir_all(world.path("clone/images/base/candidates")).expect("a folder");
        for number in 0..300 {
            let mut candidate = fixtures::candidate();
            candidate.run = format!("01KAQ3B6G0R8ZJ5Q2X7V9N{number:04}").parse().expect("a run");
            let path = format!("clone/{}", candidate_file::path(&candidate));
            world.write(&path, &candidate_file::write(&candidate));
        }
        world.git("clone", &["add", "images"]);
        world.git("clone", &["commit", "-q", "-m", "many"]);
        let path = world.environment["PATH"].clone();
        let calls = world.path("calls");
        std::fs::create_dir(world.path("bin")).expect("a folder");
        let counted = format!("#!/bin/sh\necho >>{}\nPATH='{path}'\nexec git \"$@\"\n", calls.display());
        world.script("bin/git", &counted);
        world.environment.insert("PATH".to_owned(), format!("{}:{path}", world.path("bin").display()));
        let books = books(&world).await;
        std::fs::remove_file(&calls).expect("some calls");
        assert_eq!(books.candidates(&base()).await.expect("candidates").len(), 300);
        let count = std::fs::read_to_string(&calls).expect("some calls").lines().count();
        assert!(count <= 4, "{count} calls");
    }
}
