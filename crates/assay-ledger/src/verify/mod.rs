//! `assay verify`: whether what git says of the images holds together. It owns the list of findings, each with its place and its cure: locks that
//! parse, their chain and moves (`moves`), the history in which every version of a lock goes on from the one before (`history`), evidence with the
//! digests that locks and candidates name and its signatures (`records`), annotated tags (`tags`). It refuses to change anything, and to
//! look at the cloud (that is `assay status`).

mod history;
mod moves;
mod records;
mod tags;
#[cfg(test)]
mod tests;

use super::{
    BooksRequest, LedgerError, LedgerSnapshot, candidate_file,
    candidates::{FileKind, image_of},
    hcl_text::HclError,
    lock_file,
    repository::Repository,
};
use assay_model::{Candidate, ImageName, ImageState, lock::Lock};

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// Where; its branch is the one looked at.
    pub books: BooksRequest,
    /// A commit that is here, instead of the remote's branch; tags are then the local ones.
    pub at: Option<String>,
    /// Only this image.
    pub image: Option<ImageName>,
    /// Whether every vetted and gold entry must have its annotated tag.
    pub tags: bool,
    /// Whether tags must be signed by someone whom git trusts, and evidence by one of `allowed_signers`.
    pub signatures: bool,
    /// Whether a vetted entry's evidence must be signed in any case (`promotion.require_signature`).
    pub require_signature: bool,
    /// The file of trusted keys, a path from the books' folder; it is read from the commit that is verified.
    pub allowed_signers: Option<String>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VerifyFinding {
    /// The file, from the repository's root; a tag's or commit's name where it is in no file.
    pub place: String,
    /// 1-based; absent where it is the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub cure: String,
}

/// What was verified of one image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VerifiedImage {
    /// The image.
    pub image: ImageName,
    /// Its gold run.
    pub gold: Option<assay_model::RunId>,
    /// How many entries its lock has.
    pub entries: usize,
    /// How many candidates wait.
    pub candidates: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VerifyResult {
    /// The commit that was verified.
    pub commit: String,
    /// The images, by name.
    pub images: Vec<VerifiedImage>,
    /// How many changes of lock files the history holds.
    pub versions: usize,
    /// How many evidence files were compared with their digests.
    pub evidence: usize,
    /// How many signatures over evidence are good.
    pub signatures: usize,
    /// How many tags were compared with their entries.
    pub tags: usize,
    /// What is wrong.
    pub findings: Vec<VerifyFinding>,
    /// What could not be looked at, and so is neither right nor wrong.
    pub unknown: Vec<VerifyFinding>,
}

/// An image's files in the commit.
struct CommittedImage {
    name: ImageName,
    lock: Option<Lock>,
    /// The line in the lock file at which each entry begins.
    lines: Vec<usize>,
    candidates: Vec<(String, Candidate)>,
}

/// Verifies. Fails where git or the remote cannot be asked; what is wrong in the files is a finding.
pub async fn verify(request: &VerifyRequest) -> Result<VerifyResult, LedgerError> {
    let books = match &request.at {
        Some(commit) => LedgerSnapshot::at(&request.books, commit).await?,
        None => LedgerSnapshot::open(&request.books).await?,
    };
    let mut verified = VerifyResult {
        commit: books.commit().to_owned(),
        images: Vec::new(),
        versions: 0,
        evidence: 0,
        signatures: 0,
        tags: 0,
        findings: Vec::new(),
        unknown: Vec::new(),
    };
    let tree = books.tree("images/").await?;
    let images = read_images(&books, &tree, request.image.as_ref(), &mut verified).await?;
    for image in &images {
        verified.images.push(VerifiedImage {
            image: image.name.clone(),
            gold: image.lock.as_ref().and_then(|lock| lock.gold),
            entries: image.lock.as_ref().map_or(0, |lock| lock.entries.len()),
            candidates: image.candidates.len(),
        });
        moves::check(image, &mut verified.findings);
    }
    history::check(&books, request.image.as_ref(), &mut verified).await?;
    records::check(&books, request, &tree, &images, &mut verified).await?;
    if request.tags || request.signatures {
        tags::check(&books, request, &images, &mut verified).await?;
    }
    Ok(verified)
}

/// Reads the locks and candidates of the commit; what cannot be read is a finding.
async fn read_images(
    books: &LedgerSnapshot,
    tree: &[(String, String)],
    only: Option<&ImageName>,
    verified: &mut VerifyResult,
) -> Result<Vec<CommittedImage>, LedgerError> {
    let mut images: Vec<CommittedImage> = Vec::new();
    let wanted: Vec<&(String, String)> = tree.iter().filter(|(path, _)| image_of(path).is_some()).collect();
    let blobs: Vec<&str> = wanted.iter().map(|(_, blob)| blob.as_str()).collect();
    let texts = books.blobs_up_to(&blobs, lock_file::MAX_BYTES).await?;
    for ((path, _), bytes) in wanted.into_iter().zip(texts) {
        let Some((Ok(name), kind)) = image_of(path).map(|(name, kind)| (name.parse::<ImageName>(), kind)) else {
            verified.findings.push(VerifyFinding {
                place: path.clone(),
                line: None,
                message: "its name holds no image name".to_owned(),
                cure: "remove it: only assay writes to images/".to_owned(),
            });
            continue;
        };
        if only.is_some_and(|only| *only != name) {
            continue;
        }
        let place = images.iter().position(|image| image.name == name).unwrap_or_else(|| {
            images.push(CommittedImage { name: name.clone(), lock: None, lines: Vec::new(), candidates: Vec::new() });
            images.len() - 1
        });
        let image = &mut images[place];
        let Some(bytes) = bytes else {
            let message = format!("the file is larger than {} bytes", lock_file::MAX_BYTES);
            verified.findings.push(unreadable(HclError { file: path.clone(), line: 1, message }));
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if kind == FileKind::Lock {
            match lock_file::read(path, &text) {
                Ok(lock) if lock.image == name => image.lock = Some(lock),
                Ok(lock) => verified.findings.push(VerifyFinding {
                    place: path.clone(),
                    line: Some(2),
                    message: format!("it is the lock of {}", lock.image),
                    cure: format!("restore the lock of {name} from the commit that last had it"),
                }),
                Err(error) => verified.findings.push(unreadable(error)),
            }
            image.lines = lines_of_entries(&text);
        } else {
            match candidate_file::read(path, &text) {
                Ok(candidate) => image.candidates.push((path.clone(), candidate)),
                Err(error) => verified.findings.push(unreadable(error)),
            }
        }
    }
    images.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(images)
}

fn unreadable(error: HclError) -> VerifyFinding {
    let cure = format!(
        "restore {} from the last good commit (git log -p -- {0}), or remove it where assay never wrote it; only assay changes such a file, and never \
         what is in it already",
        error.file
    );
    VerifyFinding { place: error.file, line: Some(error.line), message: error.message, cure }
}

/// The lines of a lock file in which its entries begin.
fn lines_of_entries(text: &str) -> Vec<usize> {
    (1..).zip(text.lines()).filter(|(_, line)| line.starts_with("  entry \"")).map(|(number, _)| number).collect()
}

/// The state of an entry that may have a tag.
pub fn is_tagged(state: ImageState) -> bool {
    matches!(state, ImageState::Vetted | ImageState::Gold)
}

/// A failure of git in the books' repository.
fn in_git(repository: &Repository) -> impl Fn(super::GitError) -> LedgerError + '_ {
    |source| LedgerError::git(repository, source)
}
