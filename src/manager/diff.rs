//! Where the two sides of `assay diff` come from: candidates, lock and evidence of one commit, or two files. It owns which evidence speaks for a run (the
//! validation's before the build's), and that evidence counts only with the digest that was recorded for it; it writes nothing.

use std::path::{Path, PathBuf};

use assay_config::request::DiffWhat;
use assay_ledger as ledger;
use assay_ledger::{BooksRequest, LedgerError, LedgerSnapshot};
use assay_model::{
    Candidate, Digest, Evidence, ImageName, ImageState, RunId,
    exit::ExitStatus,
    image_diff::{ComparedRun, ImageDiff, diff as compare},
    lock::Lock,
};

/// The largest evidence file that is read.
const MAX_FILE: u64 = 64 << 20;

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiffError {
    /// There is no candidate.
    #[error("there is no candidate of image {image} in commit {commit}; name a run with --run")]
    NoCandidate {
        /// The image.
        image: ImageName,
        /// The commit.
        commit: String,
    },
    /// Nobody knows the run.
    #[error(
        "commit {commit} knows no run {run} of image {image}, neither as a candidate nor in images/{image}.lock.hcl"
    )]
    NoSuchRun {
        /// The image.
        image: ImageName,
        /// The run.
        run: RunId,
        /// The commit.
        commit: String,
    },
    /// A file is no evidence.
    #[error("{path} {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// A sentence about it.
        reason: String,
    },
    /// git.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl DiffError {
    /// The exit code that this amounts to.
    pub(crate) fn exit(&self) -> ExitStatus {
        match self {
            Self::NoCandidate { .. } | Self::NoSuchRun { .. } => ExitStatus::Nothing,
            Self::File { .. } => ExitStatus::Usage,
            Self::Ledger(error) => error.exit(),
        }
    }
}

/// Compares. Without gold everything is new, and that is an answer.
pub(crate) async fn diff(what: &DiffWhat) -> Result<ImageDiff, DiffError> {
    match what {
        DiffWhat::Files(old, new) => of_files(old, new),
        DiffWhat::Runs { image, run, against, at, folder } => {
            let request = BooksRequest {
                folder: folder.clone(),
                branch: at.clone(),
                remote: None,
                environment: ledger::environment_of_process(),
            };
            of_runs(&request, at, image, *run, *against).await
        }
    }
}

fn of_files(old: &Path, new: &Path) -> Result<ImageDiff, DiffError> {
    let side = |path: &Path| {
        let wrong = |reason: String| DiffError::File { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
        if size > MAX_FILE {
            return Err(wrong(format!("is larger than {MAX_FILE} bytes")));
        }
        let bytes = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let evidence: Evidence =
            serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is no evidence of assay's: {error}")))?;
        let name = path.display().to_string();
        Ok(ComparedRun {
            name,
            run: evidence.run,
            evidence: vec![evidence],
            amis: Default::default(),
            problems: Vec::new(),
        })
    };
    let (old, new) = (side(old)?, side(new)?);
    let image = new.evidence[0].image.clone();
    Ok(compare(image.as_ref().map(ImageName::as_str), Some(&old), &new))
}

/// [`diff`] of two runs, with git's environment given.
async fn of_runs(
    request: &BooksRequest,
    at: &str,
    image: &ImageName,
    run: Option<RunId>,
    against: Option<RunId>,
) -> Result<ImageDiff, DiffError> {
    let books = LedgerSnapshot::at(request, at).await?;
    let lock = books.lock(image).await?;
    let candidates = books.candidates(image).await?;
    let newest = candidates.iter().find(|it| it.state == ImageState::Candidate).or_else(|| candidates.first());
    let new = match run.or_else(|| newest.map(|candidate| candidate.run)) {
        Some(run) => run,
        None => {
            let (image, commit) = (image.clone(), books.commit().to_owned());
            return Err(DiffError::NoCandidate { image, commit });
        }
    };
    let known = ImageInCommit { books: &books, lock: &lock, candidates: &candidates, image };
    let new = known.side(new).await?;
    let old = match against.or(lock.gold) {
        Some(run) => Some(known.side(run).await?),
        None => None,
    };
    Ok(compare(Some(image.as_str()), old.as_ref(), &new))
}

/// What a commit knows of an image.
struct ImageInCommit<'a> {
    books: &'a LedgerSnapshot,
    lock: &'a Lock,
    candidates: &'a [Candidate],
    image: &'a ImageName,
}

impl ImageInCommit<'_> {
    /// A run with all evidence that there is of it.
    async fn side(&self, run: RunId) -> Result<ComparedRun, DiffError> {
        let candidate =
            self.candidates.iter().find(|candidate| candidate.run == run).or_else(|| self.lock.candidate(run));
        let candidate = candidate.ok_or_else(|| DiffError::NoSuchRun {
            image: self.image.clone(),
            run,
            commit: self.books.commit().to_owned(),
        })?;
        let name = match self.lock.state_of(run) {
            _ if self.lock.gold == Some(run) => "gold".to_owned(),
            Some(state) => state.to_string(),
            None => candidate.state.to_string(),
        };
        let mut side = ComparedRun { name, run, evidence: Vec::new(), amis: Default::default(), problems: Vec::new() };
        for ami in &candidate.amis {
            let amis: &mut Vec<String> = side.amis.entry(ami.record.architecture.to_string()).or_default();
            amis.push(ami.record.ami.to_string());
        }
        // The validation's comes first: it saw the image last.
        let validation = self.lock.evidence_of(run).map(|digest| {
            let digits: String = digest.as_str().trim_start_matches("sha256:").chars().take(12).collect();
            (format!("images/evidence/{}/{run}-{digits}.json", self.image), digest.clone())
        });
        for (path, digest) in validation.into_iter().chain(ledger::evidence_paths(candidate)) {
            match self.evidence(&path, &digest).await? {
                Ok(evidence) => side.evidence.push(evidence),
                Err(problem) => side.problems.push(problem),
            }
        }
        Ok(side)
    }

    /// A file of evidence with the digest that was recorded for it. The inner error is a sentence.
    async fn evidence(&self, path: &str, digest: &Digest) -> Result<Result<Evidence, String>, DiffError> {
        let Some(bytes) = self.books.file(path).await? else { return Ok(Err(format!("{path} is not there"))) };
        if Digest::of(&bytes) != *digest {
            return Ok(Err(format!("{path} is not what was recorded ({digest})")));
        }
        Ok(serde_json::from_slice(&bytes).map_err(|error| format!("{path} is no evidence of assay's: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;
    use assay_ledger::{fixtures, world::GitWorld};
    use assay_model::sample;
    use assay_model::{Inventory, inventory::InstalledPackage};

    const OLD: &str = fixtures::RUN;
    const NEW: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M2D";

    /// The bytes of evidence of a run in whose image a package has this version.
    fn evidence(run: &str, version: &str) -> String {
        let mut evidence = sample::passed();
        evidence.run = run.parse().expect("a run");
        // The AMI that the candidate names.
        let ami = fixtures::candidate().amis[0].record.ami.clone();
        evidence.targets[0].target = ami.to_string();
        evidence.targets[0].ami.as_mut().expect("a record").ami = ami;
        let package = InstalledPackage { name: "motd".into(), architecture: "all".into(), version: version.into() };
        let inventory = Inventory { packages: vec![package], ..Inventory::default() };
        evidence.targets[0].inventory = Some(inventory.digest());
        evidence.inventories = [(inventory.digest(), inventory)].into();
        json::pretty(&evidence).expect("JSON")
    }

    /// Commits a candidate with its evidence.
    fn submit(world: &GitWorld, run: &str, text: &str, tested_at: &str) -> Candidate {
        let mut candidate = fixtures::candidate();
        candidate.run = run.parse().expect("a run");
        candidate.evidence = Digest::of(text.as_bytes());
        candidate.tested_at = tested_at.to_owned();
        candidate.amis[0].evidence = candidate.evidence.clone();
        candidate.amis[0].tested_at = tested_at.to_owned();
        world.commit_candidate("clone", &candidate);
        world.commit_file("clone", &format!("images/evidence/base/{run}.json"), text);
        candidate
    }

    async fn compared(world: &GitWorld, run: Option<&str>, against: Option<&str>) -> Result<ImageDiff, DiffError> {
        let request = BooksRequest {
            folder: world.path("clone"),
            branch: "main".to_owned(),
            remote: None,
            environment: world.environment.clone(),
        };
        let run_of = |run: &str| run.parse().expect("a run");
        of_runs(&request, "HEAD", &"base".parse().expect("an image"), run.map(run_of), against.map(run_of)).await
    }

    fn versions(found: &ImageDiff) -> Vec<(Option<&str>, Option<&str>)> {
        let changes = found.architectures[0].changes.as_ref().unwrap_or_else(|| panic!("{found:?}"));
        changes.packages.iter().map(|it| (it.old.as_deref(), it.new.as_deref())).collect()
    }

    #[tokio::test]
    async fn the_newest_candidate_against_gold() {
        let world = GitWorld::new();
        let none = compared(&world, None, None).await.expect_err("no candidate");
        assert_eq!(none.exit(), ExitStatus::Nothing);

        submit(&world, NEW, &evidence(NEW, "1.1"), "2026-11-23T10:00:00Z");
        let first = compared(&world, None, None).await.expect("no gold is an answer");
        assert!(first.old.is_none() && first.differs() && first.architectures[0].new_packages == Some(1));

        // Gold: the candidate went into the lock, with the validation's evidence.
        let full = evidence(OLD, "1.0");
        world.commit_lock("clone", &fixtures::lock_on(Digest::of(full.as_bytes())));
        let digest = Digest::of(full.as_bytes());
        let path = format!("images/evidence/base/{OLD}-{}.json", &digest.as_str()["sha256:".len()..][..12]);
        world.commit_file("clone", &path, &full);
        let found = compared(&world, None, None).await.expect("compared");
        assert_eq!(
            found.old.as_ref().map(|old| (old.name.as_str(), old.run.to_string())),
            Some(("gold", OLD.to_owned()))
        );
        assert_eq!((found.new.name.as_str(), found.new.run.to_string()), ("candidate", NEW.to_owned()));
        assert_eq!(versions(&found), [(Some("1.0"), Some("1.1"))]);
        assert_eq!(
            versions(&compared(&world, Some(OLD), Some(NEW)).await.expect("turned")),
            [(Some("1.1"), Some("1.0"))]
        );
        let same = compared(&world, Some(OLD), None).await.expect("gold against itself");
        assert!(!same.differs() && same.is_whole());

        world.commit_file("clone", &path, &evidence(OLD, "9.9"));
        let found = compared(&world, None, None).await.expect("an answer");
        let note = found.architectures[0].note.clone().expect("a note");
        assert!(note.contains("is not what was recorded") && !found.is_whole(), "{note}");
    }

    #[tokio::test]
    async fn runs_that_nobody_knows_and_files_that_are_no_evidence() {
        let world = GitWorld::new();
        submit(&world, NEW, &evidence(NEW, "1.1"), "2026-11-23T10:00:00Z");
        for (run, against) in [(Some(OLD), None), (None, Some(OLD))] {
            let error = compared(&world, run, against).await.expect_err("no such run");
            assert!(error.exit() == ExitStatus::Nothing && error.to_string().contains(OLD), "{error}");
        }
        let file = world.path("clone/README.md");
        let error = diff(&DiffWhat::Files(file.clone(), file)).await.expect_err("no evidence");
        assert!(error.exit() == ExitStatus::Usage && error.to_string().contains("is no evidence"), "{error}");
        let two = ["1.0", "1.1"].map(|version| {
            let path = world.path(version);
            std::fs::write(&path, evidence(NEW, version)).expect("written");
            path
        });
        let found = diff(&DiffWhat::Files(two[0].clone(), two[1].clone())).await.expect("compared");
        assert_eq!(versions(&found), [(Some("1.0"), Some("1.1"))]);
        assert_eq!(found.image.as_deref(), Some("base"));
    }
}
