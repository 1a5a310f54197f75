//! The signature over a candidate file: who says that this build was made of what the file says. It owns the file beside it, `images/<image>/candidates/<run>.hcl.sig`, that it is made
//! anew with each change of the candidate file, and that nothing is signed that others wrote. It refuses to say who is trusted.

use assay_model::{Candidate, ImageName, RunId, cause::chain};
use assay_signing::{AllowedSigners, SIGNATURE_AT_MOST, SignError, SigningKey, verify_candidate};
use jiff::Timestamp;

use super::{
    LedgerError, LedgerSnapshot, candidate_file,
    plan::PlanError,
    repository::{Repository, TreeChange},
};

/// The place of the signature over the candidate file at `path`.
pub(super) fn path_beside(path: &str) -> String {
    format!("{path}.sig")
}

/// Whether a path is that of a candidate file, beside which a signature may stand.
pub(super) fn may_be_signed(path: &str) -> bool {
    path.starts_with("images/") && path.contains("/candidates/") && path.ends_with(".hcl")
}

/// The builder's key.
#[derive(Debug, Clone)]
pub struct CandidateSigner {
    key: SigningKey,
    /// The key's own public half: what it has signed is known again.
    own: AllowedSigners,
}

impl CandidateSigner {
    /// A signer with this key.
    pub fn new(key: SigningKey) -> Result<Self, SignError> {
        let line = format!("builder {}", key.public_line()?);
        // The line is ours: what it says is a key.
        let own = AllowedSigners::parse(&line, "the signing key", &jiff::tz::TimeZone::UTC).unwrap_or_default();
        Ok(Self { key, own })
    }

    fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        verify_candidate(text, &String::from_utf8_lossy(signature), &self.own, Timestamp::now()).is_ok()
    }
}

/// A candidate file on its way into a commit.
pub(super) struct PlannedCandidate<'a> {
    pub path: &'a str,
    /// What this build made.
    pub ours: &'a Candidate,
    /// What will stand in the file.
    pub merged: &'a Candidate,
    /// Whether the file changes by that.
    pub changes: bool,
}

/// What has to change beside a planned candidate file, in addition to that file itself. Without a signer a signature goes with the text that it was over.
pub(super) async fn plan(
    repository: &Repository,
    base: Option<&str>,
    planned: PlannedCandidate<'_>,
    signer: Option<&CandidateSigner>,
) -> Result<Vec<TreeChange>, PlanError> {
    let beside = path_beside(planned.path);
    let read = async |path: &str| match base {
        Some(base) => repository.read(base, path).await,
        None => Ok(None),
    };
    let signature = read(&beside).await?;
    let Some(signer) = signer else {
        let stale = planned.changes && signature.is_some();
        return Ok(stale.then_some((beside, None)).into_iter().collect());
    };
    let text = read(planned.path).await?;
    let good = text.as_ref().zip(signature.as_ref()).is_some_and(|(text, made)| signer.has_signed(text, made));
    if good && !planned.changes {
        return Ok(Vec::new());
    }
    // Whoever may push to the branch wrote the rest, unless this key says otherwise.
    if !good && planned.merged != planned.ours {
        return Err(PlanError::NotOurs { path: planned.path.to_owned() });
    }
    let text = candidate_file::write(planned.merged);
    let made = signer.key.sign_candidate(text.as_bytes()).map_err(PlanError::Signature)?;
    let blobs = (repository.write_blob(text.as_bytes()).await?, repository.write_blob(made.as_bytes()).await?);
    Ok(vec![(planned.path.to_owned(), Some(blobs.0)), (beside, Some(blobs.1))])
}

impl LedgerSnapshot {
    /// A file; nothing in it where it is larger than what is read.
    async fn small_file(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        let files = self.tree(path).await?;
        let Some((_, blob)) = files.iter().find(|(found, _)| found == path) else { return Ok(None) };
        Ok(self.blobs_up_to(&[blob.as_str()], most).await?.pop().map(Option::unwrap_or_default))
    }

    /// Why the candidate file of a run does not count, as far as its signature goes: it has none and `required` asks for one, or it has one that is not by one of `signers`. `None`: nothing
    /// speaks against it.
    pub async fn candidate_signature(
        &self,
        image: &ImageName,
        run: RunId,
        signers: Option<&AllowedSigners>,
        required: bool,
    ) -> Result<Option<String>, LedgerError> {
        let path = candidate_file::path_of(image, run);
        let text = self.small_file(&path, candidate_file::MAX_BYTES).await?;
        let signature = self.small_file(&path_beside(&path), SIGNATURE_AT_MOST as u64).await?;
        let Some(text) = text else { return Ok(None) };
        Ok(match (signature, signers) {
            (Some(signature), Some(signers)) => {
                let made = verify_candidate(&text, &String::from_utf8_lossy(&signature), signers, Timestamp::now());
                made.err().map(|why| format!("its signature is not accepted: {}", chain(&why)))
            }
            (_, None) if required => Some(
                "assay.hcl says promotion { require_signed_candidate = true }, and there is no file of allowed signers"
                    .to_owned(),
            ),
            (None, _) if required => Some(
                "is not signed, and assay.hcl says promotion { require_signed_candidate = true }; build it again, and commit with --sign-with"
                    .to_owned(),
            ),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{
        BooksRequest, CommitChange as Pushed, CommitRequest,
        fixtures::RUN,
        world::{BuildFixture, GitWorld, candidate_path, done, fails, write_manifest},
    };
    use assay_model::exit::ExitStatus;

    fn key(world: &GitWorld, name: &str) -> SigningKey {
        let path = world.path(name);
        let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"];
        let made = Command::new("ssh-keygen").args(arguments).arg(&path).status();
        assert!(made.expect("ssh-keygen runs (package openssh-client)").success());
        SigningKey::read(&path).expect("a key")
    }

    fn trusting(key: &SigningKey) -> AllowedSigners {
        let line = format!("builder@ci namespaces=\"assay-candidate\" {}", key.public_line().expect("a line"));
        AllowedSigners::parse(&line, "images/allowed_signers", &jiff::tz::TimeZone::UTC).expect("signers")
    }

    async fn objection(world: &GitWorld, trusted: Option<&AllowedSigners>, required: bool) -> Option<String> {
        world.git("clone", &["fetch", "-q", "origin"]);
        let request = BooksRequest {
            folder: world.path("clone"),
            branch: "main".to_owned(),
            remote: None,
            environment: world.environment.clone(),
        };
        let books = LedgerSnapshot::at(&request, "origin/main").await.expect("books");
        let (image, run) = ("base".parse().expect("a name"), RUN.parse().expect("a run"));
        books.candidate_signature(&image, run, trusted, required).await.expect("read")
    }

    #[tokio::test]
    async fn each_build_of_a_run_signs_the_whole_file_and_nothing_that_others_wrote() {
        let world = GitWorld::new();
        let (ours, theirs) = (key(&world, "ours"), key(&world, "theirs"));
        let signed_by = |key: &SigningKey, folder: &str| CommitRequest {
            signer: Some(CandidateSigner::new(key.clone()).expect("a signer")),
            ..world.request(&format!("{folder}/manifest.json"))
        };
        write_manifest(&world.path("one"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
        write_manifest(&world.path("two"), &[BuildFixture::passed(RUN, "arm64", 2)]);

        done(&signed_by(&ours, "one")).await;
        assert_eq!(objection(&world, Some(&trusting(&ours)), true).await, None);
        let why = objection(&world, Some(&trusting(&theirs)), false).await.expect("another key");
        assert!(why.contains("is not among the allowed signers"), "{why}");
        assert!(objection(&world, None, true).await.expect("no keys").contains("no file of allowed signers"));
        // A rerun finds its signature, and makes no commit.
        assert_eq!(done(&signed_by(&ours, "one")).await.change, Pushed::AlreadyThere);

        // Another key's build does not vouch for this one's AMIs; the same key's does.
        let (error, words) = fails(&signed_by(&theirs, "two")).await;
        assert_eq!(error.exit(), ExitStatus::Conflict);
        assert!(words.contains("is not signed by the key that signs here"), "{words}");
        done(&signed_by(&ours, "two")).await;
        assert_eq!(objection(&world, Some(&trusting(&ours)), true).await, None);

        // Whoever changes the file has no signature over it.
        let path = candidate_path(RUN);
        let text = world.git("remote.git", &["show", &format!("main:{path}")]) + "\n";
        world.git("clone", &["merge", "-q", "--ff-only", "origin/main"]);
        world.commit_file("clone", &path, &(text + "# edited\n"));
        world.git("clone", &["push", "-q", "origin", "HEAD:main"]);
        let why = objection(&world, Some(&trusting(&ours)), false).await.expect("changed");
        assert!(why.contains("one of the two was changed"), "{why}");
    }

    #[tokio::test]
    async fn a_build_that_does_not_sign_takes_the_signature_off_what_it_changes() {
        let world = GitWorld::new();
        let ours = key(&world, "ours");
        write_manifest(&world.path("one"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
        write_manifest(&world.path("two"), &[BuildFixture::passed(RUN, "arm64", 2)]);
        let signer = Some(CandidateSigner::new(ours.clone()).expect("a signer"));
        let signed = CommitRequest { signer, ..world.request("one/manifest.json") };
        done(&signed).await;
        done(&world.request("two/manifest.json")).await;
        let listed = world.git("remote.git", &["ls-tree", "-r", "--name-only", "main", "images/base"]);
        assert_eq!(listed, candidate_path(RUN));
        assert_eq!(objection(&world, Some(&trusting(&ours)), false).await, None);
        let why = objection(&world, Some(&trusting(&ours)), true).await.expect("unsigned");
        assert!(why.contains("is not signed"), "{why}");
        // What nobody signed could be anybody's: it is not signed now.
        let (_, words) = fails(&signed).await;
        assert!(words.contains("is not signed by the key that signs here"), "{words}");
    }
}
