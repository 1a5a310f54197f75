//! Evidence: the files that locks and candidates name are there with their digests, and what is signed was signed by someone whom the
//! protected branch trusts.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use jiff::Timestamp;

use super::{CommittedImage, VerifyFinding, VerifyRequest, VerifyResult};
use crate::{LedgerError, LedgerSnapshot, lock_file, merge::evidence_paths};
use assay_config::file::ALLOWED_SIGNERS;
use assay_model::{
    Digest, ImageName, ImageState, RunId,
    lock::{Lock, LockEntry},
};
use assay_signing as signing;
use assay_signing::AllowedSigners;

/// The largest evidence file that is read, as `assay commit` has it.
const MAX_BYTES: u64 = 64 << 20;

/// A digest that something names.
struct NamedDigest {
    image: ImageName,
    run: RunId,
    digest: Digest,
    place: String,
    line: Option<usize>,
    /// For a vetted entry, whose evidence may be signed.
    vetted: Option<VettedDemand>,
}

/// What a vetted entry asks of the signature beside its evidence. Entries cannot be taken back, so what became of the run counts.
#[derive(Clone)]
struct VettedDemand {
    /// When the run was vetted, and not before anything that the lock said by then: who writes an entry chooses its time, but a key that was replaced signs for no
    /// entry behind one that is later.
    at: Option<Timestamp>,
    /// The run stands on this entry: it is the last vetted one, and the run is vetted or gold.
    stands: bool,
    /// The run is rejected or revoked: nothing rests on it, whoever signed it.
    given_up: bool,
}

/// Checks every digest that is named against the files in `images/evidence/`, and signatures beside them.
pub(super) async fn check(
    books: &LedgerSnapshot,
    request: &VerifyRequest,
    tree: &[(String, String)],
    images: &[CommittedImage],
    verified: &mut VerifyResult,
) -> Result<(), LedgerError> {
    let named = named(images);
    let files: Vec<&(String, String)> =
        tree.iter().filter(|(path, _)| path.starts_with("images/evidence/") && path.ends_with(".json")).collect();
    let blobs: Vec<&str> = files.iter().map(|(_, blob)| blob.as_str()).collect();
    let digests = books.digests(&blobs, MAX_BYTES).await?;
    let mut known: BTreeMap<&str, &Digest> = BTreeMap::new();
    for ((path, _), digest) in files.iter().zip(&digests) {
        match digest {
            Some(digest) => drop(known.insert(path, digest)),
            None => verified.findings.push(VerifyFinding {
                place: path.clone(),
                line: None,
                message: format!("it is larger than {MAX_BYTES} bytes, so assay did not write it"),
                cure: "remove it".to_owned(),
            }),
        }
    }
    let signers = signers(books, request, verified).await?;
    // Candidate and vetted entry of one run name the same file: it counts once.
    let mut found = BTreeSet::new();
    for one in &named {
        match file_of(one, &known) {
            Ok(path) => {
                found.insert(path);
                if let Some(vetted) = &one.vetted {
                    signature(books, request, tree, &signers, (one, vetted), path, verified).await?;
                }
            }
            Err(message) => verified.findings.push(VerifyFinding {
                place: one.place.clone(),
                line: one.line,
                message,
                cure: format!(
                    "restore it from the history: git log --all -- images/evidence/{}/{}*",
                    one.image, one.run
                ),
            }),
        }
    }
    verified.evidence = found.len();
    Ok(())
}

fn named(images: &[CommittedImage]) -> Vec<NamedDigest> {
    let mut named = Vec::new();
    for image in images {
        let path = lock_file::path(&image.name);
        for (index, entry) in image.lock.iter().flat_map(|lock| &lock.entries).enumerate() {
            let line = image.lines.get(index).copied();
            let one = |digest: Digest, vetted| NamedDigest {
                image: image.name.clone(),
                run: entry.run,
                digest,
                place: path.clone(),
                line,
                vetted,
            };
            let of_candidate = entry.candidate.iter().flat_map(evidence_paths);
            named.extend(of_candidate.map(|(_, digest)| one(digest, None)));
            let vetted = image.lock.as_ref().and_then(|lock| vetted(lock, index, entry));
            named.extend(entry.evidence.iter().map(|digest| one(digest.clone(), vetted.clone())));
        }
        for (path, candidate) in &image.candidates {
            named.extend(evidence_paths(candidate).into_iter().map(|(_, digest)| NamedDigest {
                image: image.name.clone(),
                run: candidate.run,
                digest,
                place: path.clone(),
                line: None,
                vetted: None,
            }));
        }
    }
    named
}

fn vetted(lock: &Lock, index: usize, entry: &LockEntry) -> Option<VettedDemand> {
    if entry.state != ImageState::Vetted {
        return None;
    }
    let state = lock.state_of(entry.run);
    let again =
        lock.entries.iter().skip(index + 1).any(|later| later.run == entry.run && later.state == ImageState::Vetted);
    let times = lock.entries[..=index].iter().filter_map(|entry| entry.at.parse::<Timestamp>().ok());
    Some(VettedDemand {
        at: times.max(),
        stands: !again && matches!(state, Some(ImageState::Vetted | ImageState::Gold)),
        given_up: matches!(state, Some(ImageState::Rejected | ImageState::Revoked)),
    })
}

/// The run's evidence file with the digest: `<run>.json`, or `<run>-<first digits>.json`.
fn file_of<'k>(one: &NamedDigest, known: &BTreeMap<&'k str, &Digest>) -> Result<&'k str, String> {
    let begin = format!("images/evidence/{}/{}", one.image, one.run);
    let mut others = Vec::new();
    let from = (Bound::Included(begin.as_str()), Bound::Unbounded);
    for (path, digest) in known.range::<str, _>(from).take_while(|(path, _)| path.starts_with(&begin)) {
        if **digest == one.digest {
            return Ok(path);
        }
        others.push(*path);
    }
    let there = if others.is_empty() {
        "there is none of this run".to_owned()
    } else {
        format!("there is {}", others.join(", "))
    };
    Err(format!("run {}: no file in images/evidence/{} has the digest {}; {there}", one.run, one.image, one.digest))
}

/// The trusted keys; a file that cannot be used is a finding.
async fn signers(
    books: &LedgerSnapshot,
    request: &VerifyRequest,
    verified: &mut VerifyResult,
) -> Result<Option<AllowedSigners>, LedgerError> {
    let named = request.allowed_signers.as_deref();
    let path = &books.from_root(named.unwrap_or(ALLOWED_SIGNERS)).await?;
    let parsed = match books.file(path).await? {
        None if named.is_none() => return Ok(None),
        None => Err(vec!["promotion.allowed_signers of assay.hcl names this file, and the commit has none".to_owned()]),
        Some(bytes) => AllowedSigners::parse(&String::from_utf8_lossy(&bytes), path, &jiff::tz::TimeZone::UTC)
            .map_err(|error| error.0),
    };
    match parsed {
        Ok(signers) => Ok(Some(signers)),
        Err(mistakes) => {
            let finding = |message| VerifyFinding {
                place: path.clone(),
                line: None,
                message,
                cure: "write it in the form of ssh-keygen(1), ALLOWED SIGNERS".to_owned(),
            };
            verified.findings.extend(mistakes.into_iter().map(finding));
            Ok(None)
        }
    }
}

async fn signature(
    books: &LedgerSnapshot,
    request: &VerifyRequest,
    tree: &[(String, String)],
    signers: &Option<AllowedSigners>,
    (one, vetted): (&NamedDigest, &VettedDemand),
    path: &str,
    verified: &mut VerifyResult,
) -> Result<(), LedgerError> {
    let beside = format!("{path}.sig");
    let required = request.require_signature || request.signatures;
    let blob = |wanted: &str| tree.iter().find(|(path, _)| path == wanted).map(|(_, blob)| blob.clone());
    let wrong = |place: &str, message: String, cure: &str| VerifyFinding {
        place: place.to_owned(),
        line: None,
        message,
        cure: cure.to_owned(),
    };
    match (blob(&beside), blob(path), signers) {
        (None, ..) if required && vetted.stands => {
            let message = format!("run {} was vetted on evidence that nobody signed", one.run);
            verified.findings.push(wrong(
                path,
                message,
                "validate it again with --sign-with, and promote that; or make another run gold, or revoke this one",
            ));
        }
        (Some(sig), Some(evidence), Some(signers)) => {
            let bytes: Vec<Vec<u8>> = books
                .blobs_up_to(&[&sig, &evidence], MAX_BYTES)
                .await?
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect();
            // A key counts by what was true when the run was vetted: rotating it takes nothing back.
            let now = vetted.at.unwrap_or_else(Timestamp::now);
            match signing::verify(&bytes[1], &String::from_utf8_lossy(&bytes[0]), signers, now) {
                Ok(_) => verified.signatures += 1,
                Err(_) if vetted.given_up => {}
                Err(error) => verified.findings.push(wrong(
                    &beside,
                    error.to_string(),
                    "a key that was replaced stays in allowed_signers with valid-before; else restore the signature, or revoke the run",
                )),
            }
        }
        (Some(_), _, None) if required => verified.unknown.push(wrong(
            &beside,
            "no file of trusted keys is named, so this signature says nothing".to_owned(),
            "name one in assay.hcl: promotion { allowed_signers = \"images/allowed_signers\" }",
        )),
        _ => {}
    }
    Ok(())
}
