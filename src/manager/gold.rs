//! The gold of an image line, for those who build on it: `data "assay-image"`. It owns which run counts as gold at a moment, which AMI of it
//! fits, and the words when none does. It refuses the network: the lock file in the tree (or at a commit that is here) is all it reads, so
//! that a template is evaluated alike on a laptop, in a pull request of a fork and in the job that builds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Read,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use assay_config::{file, options::nearest};
use assay_ledger::{
    GitEnvironment, HclError, LedgerError,
    books::{BooksRequest, LedgerSnapshot},
    lock_file,
};
use assay_model::{
    AmiRecord, Architecture, ImageName, ImageState, Region, RunId,
    escape::escape_line,
    lock::{Lock, LockEntry},
};

/// A lock file is far smaller (`ledger` refuses more); what is larger is not read into memory.
const MAX_BYTES: u64 = 16 << 20;

/// Which AMI is wanted.
#[derive(Debug, Clone)]
pub(crate) struct GoldRequest {
    /// The image line.
    pub image: ImageName,
    /// The region that the AMI must be in.
    pub region: Region,
    /// Its architecture.
    pub architecture: Architecture,
    /// The assay.hcl whose repository's `images/` is read, outside of a repository the `images/` beside it; by default the first in `working_dir` or above it.
    pub config: Option<PathBuf>,
    /// A commit, branch or tag that is here, whose lock counts instead of the checked-out one.
    pub reference: Option<String>,
    /// What relative paths start from.
    pub working_dir: PathBuf,
    /// What git is run with.
    pub environment: GitEnvironment,
    /// The moment at which the run must be gold.
    pub now: Timestamp,
}

/// A gold AMI and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoldImage {
    /// The AMI that was asked for.
    pub ami: AmiRecord,
    /// Its run.
    pub run: RunId,
    /// Every AMI of the run: architecture → region → id.
    pub amis: BTreeMap<String, BTreeMap<String, String>>,
    /// What the run was built from.
    pub source_digest: Option<String>,
    /// When it became gold, RFC 3339 UTC.
    pub promoted_at: String,
    /// From when on it is revoked, where that was announced.
    pub revoked_from: Option<String>,
}

/// What helps where the build that was asked for does not need the gold: that of the base itself, most of all.
const ELSEWHERE: &str = ". If this build does not need it: Packer reads every data source of a template, whatever -only says; keep the one that does in a folder of its own";

/// Why there is no AMI to build on. Each says what would help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GoldError {
    /// No assay.hcl, so no place where `images/` could be.
    #[error("config: there is no assay.hcl in {} or a folder above it; name it: config = \"path/to/assay.hcl\"", .0.display())]
    NoConfig(PathBuf),
    /// The lock is not there.
    #[error("image: {image} has no gold yet: there is no {place}{nearest}. {cure}")]
    NoLock {
        /// The image line.
        image: ImageName,
        /// Where it was looked for.
        place: String,
        /// A name that was perhaps meant.
        nearest: String,
        /// What would help.
        cure: String,
    },
    /// The lock knows no gold.
    #[error(
        "image: {image} has no gold yet: {place} knows {known}. Promote one: assay promote --image {image} --to gold{}",
        ELSEWHERE
    )]
    NoGold {
        /// The image line.
        image: ImageName,
        /// The lock.
        place: String,
        /// What it knows.
        known: String,
    },
    /// Its gold was revoked.
    #[error(
        "image: the gold of {image} is revoked: run {run}, {told}, says {place}. Promote another run, or go back to the last good one: \
         assay rollback --image {image}{}",
        ELSEWHERE
    )]
    Revoked {
        /// The image line.
        image: ImageName,
        /// The run.
        run: RunId,
        /// Since when, by whom and why, escaped.
        told: String,
        /// The lock.
        place: String,
    },
    /// Gold is elsewhere.
    #[error(
        "the gold of {image} (run {run}) has no AMI for {architecture} in {region}; it has {has}. Choose one of these by region and architecture, or \
         have promotion copy it there: distribution {{ ami_regions = [\"{region}\"] }} in the image's block of assay.hcl"
    )]
    NoAmi {
        /// The image line.
        image: ImageName,
        /// The run.
        run: RunId,
        /// What was wanted.
        architecture: Architecture,
        /// What was wanted.
        region: Region,
        /// What there is.
        has: String,
    },
    /// The lock is not what assay wrote.
    #[error(
        "{0}. Nothing is built on a lock that was changed by hand: restore it from the protected branch (git checkout origin/main -- images/)"
    )]
    Broken(#[from] HclError),
    /// The lock cannot be read.
    #[error("{} cannot be read: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// git has no such commit, or there is no repository.
    #[error("ref: {reference:?} cannot be read in {}: {reason}. The commit must be here: git fetch origin", .folder.display())]
    Reference {
        /// What was named.
        reference: String,
        /// Where git ran.
        folder: PathBuf,
        /// git's words.
        reason: String,
    },
}

/// The gold AMI that fits.
pub(crate) async fn gold(request: &GoldRequest) -> Result<GoldImage, GoldError> {
    let folder = folder_of(request)?;
    let (place, lock) = match &request.reference {
        Some(reference) => committed(request, &folder, reference).await?,
        None => checked_out(request, &folder)?,
    };
    choose(&lock, &place, request)
}

/// The folder of assay.hcl.
fn folder_of(request: &GoldRequest) -> Result<PathBuf, GoldError> {
    let found = match &request.config {
        Some(path) => Some(request.working_dir.join(path)).filter(|path| path.is_file()),
        None => file::find(&request.working_dir),
    };
    let config = found.ok_or_else(|| match &request.config {
        Some(path) => GoldError::Unreadable { path: path.clone(), reason: "there is no such file".to_owned() },
        None => GoldError::NoConfig(request.working_dir.clone()),
    })?;
    Ok(config.parent().map(Path::to_owned).unwrap_or_default())
}

/// The lock in the work tree: in the top folder of the repository, to which `images/` is committed; outside of one, beside assay.hcl.
fn checked_out(request: &GoldRequest, folder: &Path) -> Result<(String, Lock), GoldError> {
    let top = folder.ancestors().find(|ancestor| ancestor.join(".git").exists()).unwrap_or(folder);
    let path = top.join(lock_file::path(&request.image));
    let place = path.display().to_string();
    if !path.exists() {
        return Err(no_lock(request, place, &locks_in(&top.join("images"))));
    }
    let text =
        read_bounded(&path).map_err(|error| GoldError::Unreadable { path: path.clone(), reason: error.to_string() })?;
    let lock = lock_file::read_of(&request.image, &place, &text)?;
    Ok((place, lock))
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lock in a commit.
async fn committed(request: &GoldRequest, folder: &Path, reference: &str) -> Result<(String, Lock), GoldError> {
    let failed = |error: LedgerError| GoldError::Reference {
        reference: reference.to_owned(),
        folder: folder.to_owned(),
        reason: root_cause(&error),
    };
    let books = BooksRequest {
        folder: folder.to_owned(),
        branch: reference.to_owned(),
        remote: None,
        environment: request.environment.clone(),
    };
    let books = LedgerSnapshot::at(&books, reference).await.map_err(failed)?;
    let path = lock_file::path(&request.image);
    let place = format!("{reference}:{path}");
    let Some(bytes) = books.file(&path).await.map_err(failed)? else {
        let listed = books.list("images/").await.map_err(failed)?;
        let names = listed.iter().filter_map(|path| lock_name(path.strip_prefix("images/")?)).collect();
        return Err(no_lock(request, place, &names));
    };
    let lock = lock_file::read_of(&request.image, &place, &String::from_utf8_lossy(&bytes))?;
    Ok((place, lock))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn locks_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| lock_name(&entry.file_name().to_string_lossy())).collect()
}

fn lock_name(file: &str) -> Option<String> {
    file.strip_suffix(".lock.hcl").map(str::to_owned)
}

fn no_lock(request: &GoldRequest, place: String, names: &BTreeSet<String>) -> GoldError {
    let wanted = request.image.as_str();
    let nearest = nearest(wanted, names.iter().map(String::as_str));
    let elsewhere = match request.reference {
        None => "; where the protected branch has it already, read it from there: ref = \"origin/main\"",
        Some(_) => "",
    };
    GoldError::NoLock {
        image: request.image.clone(),
        place,
        nearest: nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default(),
        cure: format!("Its first promotion writes it: assay promote --image {wanted} --to gold{elsewhere}{ELSEWHERE}"),
    }
}

/// The AMI of `lock` that fits `request`; `place` is what errors call the lock.
pub(super) fn choose(lock: &Lock, place: &str, request: &GoldRequest) -> Result<GoldImage, GoldError> {
    let (run, revoked_from) = standing(lock, place, request.now)?;
    let all = lock.amis(run);
    let mut amis: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for record in &all {
        let regions = amis.entry(record.architecture.as_str().to_owned()).or_default();
        regions.insert(record.ami.region.as_str().to_owned(), record.ami.id.as_str().to_owned());
    }
    let fits = |r: &&AmiRecord| r.architecture == request.architecture && r.ami.region == request.region;
    let Some(ami) = all.iter().find(fits).cloned() else {
        return Err(GoldError::NoAmi {
            image: lock.image.clone(),
            run,
            architecture: request.architecture,
            region: request.region.clone(),
            has: list(&amis),
        });
    };
    let digest = lock.candidate(run).and_then(|candidate| candidate.provenance.source_digest.as_ref());
    Ok(GoldImage {
        ami,
        run,
        amis,
        source_digest: digest.map(ToString::to_string),
        promoted_at: lock.gold_since(run).unwrap_or_default().to_owned(),
        revoked_from,
    })
}

/// The run that is gold at `now`, and from when on it will not be. A gold that was revoked for a later moment stands until then, although
/// the lock names no gold any more.
fn standing(lock: &Lock, place: &str, now: Timestamp) -> Result<(RunId, Option<String>), GoldError> {
    let latest = || lock.entries.iter().rev().find(|entry| entry.state == ImageState::Gold).map(|entry| entry.run);
    let last = lock.gold.or_else(latest).and_then(|run| lock.last(run));
    match last {
        Some(last) if lock.is_revoked(last.run, now) => Err(of_revoked(lock, last, place)),
        Some(last) if last.state == ImageState::Revoked => Ok((last.run, last.effective_at.clone())),
        Some(last) if lock.gold == Some(last.run) => Ok((last.run, None)),
        _ => Err(GoldError::NoGold { image: lock.image.clone(), place: place.to_owned(), known: known(lock) }),
    }
}

fn of_revoked(lock: &Lock, entry: &LockEntry, place: &str) -> GoldError {
    let when = entry.effective_at.as_ref().map_or_else(|| format!("at {}", entry.at), |at| format!("from {at} on"));
    GoldError::Revoked {
        image: lock.image.clone(),
        run: entry.run,
        told: format!("{when} by {} ({})", escape_line(&entry.by), escape_line(&entry.reason)),
        place: place.to_owned(),
    }
}

/// The runs of a lock in words, newest first, a few of them.
fn known(lock: &Lock) -> String {
    const SHOWN: usize = 3;
    let runs = lock.runs();
    if runs.is_empty() {
        return "no run at all".to_owned();
    }
    let mut text = String::new();
    for run in runs.iter().rev().take(SHOWN) {
        let state = lock.state_of(*run).map_or("unknown", ImageState::as_str);
        let _infallible = write!(text, "{}{run} ({state})", if text.is_empty() { "run " } else { ", run " });
    }
    if runs.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// `x86_64 in us-east-1 and eu-west-1; arm64 in us-east-1`
fn list(amis: &BTreeMap<String, BTreeMap<String, String>>) -> String {
    let each = amis.iter().map(|(architecture, regions)| {
        format!("{architecture} in {}", regions.keys().cloned().collect::<Vec<_>>().join(", "))
    });
    let text = each.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "none at all".to_owned() } else { text }
}

#[cfg(test)]
#[path = "gold_tests.rs"]
mod tests;
