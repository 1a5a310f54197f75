//! What the first version of assay's files said must go on being read, verified and gone on from. `tests/fixtures/format-1` was written by that version: never write
//! it anew.

use super::*;
use assay_aws::journal::Journal;
use assay_ledger::{
    CommitChange, CommitRequest, RacePatience, commit,
    verify::{VerifyRequest, VerifyResult, verify},
};
use assay_model::ManifestRuns;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-1");

impl Bench {
    /// The repository that the first version wrote, with its AMIs in the cloud.
    async fn of_format_one() -> Self {
        let bench = Self::new();
        let bundle = format!("{FOLDER}/images.bundle");
        bench.world.git("remote.git", &["fetch", "-q", "--update-head-ok", &bundle, "+refs/*:refs/*"]);
        bench.world.git("clone", &["fetch", "-q", "origin"]);
        bench.world.git("clone", &["reset", "-q", "--hard", "origin/main"]);
        bench.world.git("seed", &["fetch", "-q", "../remote.git", "main"]);
        bench.world.git("seed", &["reset", "-q", "--hard", "FETCH_HEAD"]);
        let lock = bench.lock().await;
        for run in lock.runs() {
            let digest = lock.candidate(run).and_then(|it| it.provenance.source_digest.clone()).expect("a digest");
            lock.amis(run).iter().for_each(|record| bench.exists(record, run, &digest));
        }
        for copy in lock.runs().into_iter().flat_map(|run| lock.copies(run)) {
            let ami = &copy.record.ami;
            let mut image = bench.cloud.image(&ami.region, &ami.id).expect("an AMI");
            image.attributes.source_image_id = copy.of.id.to_string();
            image.attributes.source_image_region = copy.of.region.to_string();
            bench.cloud.add_image(&ami.region, image);
        }
        for candidate in bench.books().await.candidates(&base()).await.expect("candidates") {
            let digest = candidate.provenance.source_digest.clone().expect("a digest");
            candidate.amis.iter().for_each(|ami| bench.exists(&ami.record, candidate.run, &digest));
        }
        bench
    }

    async fn verified(&self) -> VerifyResult {
        let request = VerifyRequest {
            books: BooksRequest {
                folder: self.world.path("clone"),
                branch: "main".to_owned(),
                remote: None,
                environment: self.environment.clone(),
            },
            at: None,
            image: None,
            tags: true,
            signatures: false,
            require_signature: false,
            allowed_signers: None,
        };
        verify(&request).await.unwrap_or_else(|error| panic!("{}", assay_model::cause::chain(&error)))
    }

    fn file(&self, path: &str) -> String {
        self.world.git("remote.git", &["show", &format!("main:{path}")])
    }
}

#[tokio::test]
async fn what_the_first_version_wrote_verifies_and_is_gone_on_from() {
    let bench = Bench::of_format_one().await;
    let green = bench.verified().await;
    assert_eq!((&green.findings, &green.unknown), (&Vec::new(), &Vec::new()));
    assert_eq!((green.images.len(), green.tags, green.evidence), (1, 6, 8), "{green:#?}");
    let before = bench.lock().await;
    assert_eq!((before.gold, before.entries.len()), (Some(run(1)), 10));
    assert_eq!(before.state_of(run(2)), Some(ImageState::Revoked));

    // What was done is known as done: no commit, and no tag.
    let (tip, tags) = (bench.world.remote_tip(), bench.world.git("remote.git", &["tag", "--list"]));
    assert_eq!(done(bench.gold_of(1).await).change, LockChange::Already);
    let again = CommitRequest {
        manifest: PathBuf::from(FOLDER).join("build/manifest.json"),
        runs: ManifestRuns::Last,
        repository: bench.world.path("clone"),
        branch: Some("main".to_owned()),
        remote: None,
        push: true,
        environment: bench.world.environment.clone(),
        patience: RacePatience::default(),
    };
    let outcome = commit(&again).await.unwrap_or_else(|error| panic!("{}", assay_model::cause::chain(&error)));
    assert_eq!(
        (outcome.change, outcome.tags[0].created, outcome.warnings),
        (CommitChange::AlreadyThere, false, Vec::new())
    );
    assert_eq!(bench.world.remote_tip(), tip);
    assert_eq!(bench.world.git("remote.git", &["tag", "--list"]), tags);

    // What comes is added, and what stands stays byte for byte.
    let text = bench.file("images/base.lock.hcl");
    done(bench.moved(RunMove::Retire { run: run(3) }).await);
    let longer = bench.file("images/base.lock.hcl");
    let entries =
        |text: &str| text[text.find("  entry ").expect("entries")..].trim_end().trim_end_matches('}').to_owned();
    assert!(entries(&longer).starts_with(entries(&text).trim_end()), "{longer}");
    let after = bench.lock().await;
    assert_eq!(after.entries[..10], before.entries[..]);
    assert_eq!(after.state_of(run(3)), Some(ImageState::Retired));
    assert_eq!(bench.verified().await.findings, Vec::new());
}

#[test]
fn a_journal_of_the_first_version_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(format!("{FOLDER}/journal.jsonl"), folder.path().join("journal.jsonl")).expect("copied");
    let journal = Journal::reopen(folder.path()).expect("a journal");
    assert_eq!((journal.header().run, journal.damaged()), (run(6), 0));
    let open: Vec<_> = journal.open_steps().into_iter().map(|step| (step.number, step.id)).collect();
    let ids = [
        (1, "assay-01kaq3b6g0r8zj5q2x7v9n4m06-rxfv8b-us-east-1-1"),
        (3, "i-0abcdef1234567890"),
        (4, "vol-0abcdef1234567890"),
    ];
    assert_eq!(open, ids.map(|(number, id)| (number, Some(id.to_owned()))));
    assert_eq!(journal.protections().len(), 1);
}

impl Bench {
    async fn gold_of(&self, number: u8) -> Result<MovedRun, PromotionError> {
        self.promote(RunGoal::Gold, Some(run(number))).await
    }
}
