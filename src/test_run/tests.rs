//! Protection from beginning to end, on a cloud in memory: what is noted when, what is lifted, what stays.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::{
    admit::{self, AdmittedImage},
    event::EventSender,
    protection::ProtectionRecord,
    stamping::{settle_protection, stamp_all},
};
use assay_aws::cloud::fake::sample_image;
use assay_aws::{
    cloud::{
        CloudErrorKind, CloudFactory,
        fake::{FakeCloud, FakeFault},
    },
    registry::{ProtectionOrigin, StateTags},
};
use assay_config::OnFailure::{self, Destroy, Quarantine};
use assay_model::{
    AmiRef, ImageState, RunId, TargetEvidence,
    Verdict::{self, Failed, Passed, Undecided},
};

/// Two AMIs in one region, a third in another.
const AMIS: [&str; 3] =
    ["us-east-1:ami-0000000000000000a", "us-east-1:ami-0000000000000000b", "eu-west-1:ami-0000000000000000c"];

struct Bench {
    cloud: FakeCloud,
    root: TempDir,
    amis: Vec<AmiRef>,
}

impl Bench {
    fn new() -> Self {
        let cloud = FakeCloud::new();
        let amis: Vec<AmiRef> = AMIS.iter().map(|ami| ami.parse().expect("an AMI")).collect();
        for ami in &amis {
            cloud.add_image(&ami.region, sample_image(ami.id.as_str(), &[]));
        }
        Self { cloud, root: tempfile::tempdir().expect("a folder"), amis }
    }

    fn record(&self) -> ProtectionRecord {
        ProtectionRecord::open_at(self.root.path(), RunId::generate(), &EventSender::channel().0)
    }

    async fn admit(&self, record: &ProtectionRecord) -> Vec<AdmittedImage> {
        admit::admit(&self.cloud, &self.amis, Some(record), true, &EventSender::channel().0).await.0
    }

    /// Ends a run with these verdicts, in the order of [`AMIS`]; the AMIs that stay protected in the cloud.
    async fn settle(&self, verdicts: [Verdict; 3], recorded_well: bool, on_failure: OnFailure) -> Vec<AmiRef> {
        let record = self.record();
        let admitted = self.admit(&record).await;
        let targets: Vec<TargetEvidence> = self
            .amis
            .iter()
            .zip(verdicts)
            .map(|(ami, verdict)| TargetEvidence { verdict, ..TargetEvidence::new(ami.to_string(), None) })
            .collect();
        let events = EventSender::channel().0;
        let told = settle_protection(&admitted, &targets, recorded_well, on_failure, &record, &events).await;
        record.close();
        let mut still = Vec::new();
        for ami in &self.amis {
            let seen =
                self.cloud.region(&ami.region).describe_images(std::slice::from_ref(&ami.id)).await.expect("images");
            still.extend(seen[0].deregistration_protected.then(|| ami.clone()));
        }
        assert_eq!(told, still, "what is told is what is");
        assert_eq!(journal(self.root.path()).is_empty(), still.is_empty(), "the record goes with the last protection");
        still
    }
}

/// The text of every journal beneath `root`.
fn journal(root: &Path) -> String {
    let Ok(entries) = fs::read_dir(root) else { return String::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| if path.is_dir() { journal(&path) } else { fs::read_to_string(path).expect("text") }).collect()
}

#[tokio::test]
async fn protection_is_noted_before_it_is_turned_on_and_is_the_first_change() {
    let bench = Bench::new();
    let (root, unnoted) = (bench.root.path().to_owned(), Arc::new(Mutex::new(Vec::new())));
    let seen = unnoted.clone();
    bench.cloud.on_call(move |action, subject| {
        let noted = journal(&root).lines().any(|l| l.contains("protecting") && l.contains(subject));
        if action.starts_with("Enable") && !noted {
            seen.lock().expect("no panic").push(subject.to_owned());
        }
    });
    let admitted = bench.admit(&bench.record()).await;
    assert!(admitted.iter().all(|one| one.protection == Some(ProtectionOrigin::Ours)));
    assert_eq!(*unnoted.lock().expect("no panic"), Vec::<String>::new());
    assert_eq!(bench.cloud.count("EnableImageDeregistrationProtection"), AMIS.len());
    for call in bench.cloud.calls() {
        assert!(call.contains(" Describe") || call.contains(" EnableImageDeregistrationProtection "), "{call}");
    }
}

#[tokio::test]
async fn a_refused_protection_is_struck_out_and_a_lost_answer_is_not() {
    let bench = Bench::new();
    bench.cloud.fault("EnableImageDeregistrationProtection", FakeFault::Refuse(CloudErrorKind::Denied));
    bench.cloud.fault("EnableImageDeregistrationProtection", FakeFault::LoseAnswer);
    let record = bench.record();
    let admitted = bench.admit(&record).await;
    assert_eq!(admitted.iter().filter(|one| one.protection.is_none()).count(), 2);
    assert_eq!(journal(bench.root.path()).matches("unprotected").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_described_is_protected_all_the_same_and_stays_so() {
    let bench = Bench::new();
    bench.cloud.fault("DescribeImages", FakeFault::Refuse(CloudErrorKind::Throttled));
    assert_eq!(bench.settle([Undecided, Passed, Passed], true, Destroy).await, bench.amis);
}

#[tokio::test]
async fn without_a_record_the_amis_are_protected_all_the_same() {
    let bench = Bench::new();
    let nowhere = bench.root.path().join("file");
    fs::write(&nowhere, "").expect("written");
    let (events, mut told) = EventSender::channel();
    let record = ProtectionRecord::open_at(&nowhere, RunId::generate(), &events);
    assert!(told.try_recv().is_ok(), "it is warned of");
    assert!(bench.admit(&record).await.iter().all(|one| one.protection == Some(ProtectionOrigin::Ours)));
}

#[tokio::test]
async fn only_a_run_that_passed_and_is_recorded_loses_its_protection() {
    assert_eq!(Bench::new().settle([Passed; 3], true, Quarantine).await, []);
    for verdicts in [[Passed, Passed, Failed], [Passed, Undecided, Passed], [Undecided; 3], [Failed; 3]] {
        let bench = Bench::new();
        assert_eq!(bench.settle(verdicts, true, Quarantine).await, bench.amis, "{verdicts:?}");
    }
    let bench = Bench::new();
    assert_eq!(bench.settle([Passed; 3], false, Quarantine).await, bench.amis, "tags or manifest are missing");
}

#[tokio::test]
async fn destroy_leaves_what_failed_to_packer_and_keeps_what_is_undecided() {
    assert_eq!(Bench::new().settle([Failed; 3], true, Destroy).await, []);
    let bench = Bench::new();
    assert_eq!(bench.settle([Failed, Undecided, Passed], true, Destroy).await, [bench.amis[1].clone()]);
    let bench = Bench::new();
    assert_eq!(bench.settle([Passed, Undecided, Passed], true, Destroy).await, bench.amis);
}

#[tokio::test]
async fn an_ami_on_several_types_is_stamped_with_the_worst_of_them() {
    for (small, large, state) in [
        (Passed, Passed, ImageState::Candidate),
        (Passed, Undecided, ImageState::Untested),
        (Undecided, Passed, ImageState::Untested),
        (Passed, Failed, ImageState::Rejected),
        (Failed, Passed, ImageState::Rejected),
        (Undecided, Failed, ImageState::Rejected),
    ] {
        let bench = Bench::new();
        let admitted = bench.admit(&bench.record()).await;
        let on = |ami: &AmiRef, size: &str, verdict| TargetEvidence {
            verdict,
            ..TargetEvidence::new(format!("{ami}/{size}"), None)
        };
        let mut targets: Vec<TargetEvidence> = Vec::new();
        for (ami, (small, large)) in bench.amis.iter().zip([(small, large), (Passed, Passed), (Passed, Passed)]) {
            targets.extend([on(ami, "t3.small", small), on(ami, "t3.large", large)]);
        }
        let state_tags = StateTags {
            image: "base".parse().expect("a name"),
            run: RunId::generate(),
            state: ImageState::Untested,
            verdict: Undecided,
            evidence: None,
            provenance: Default::default(),
            user_tags: Default::default(),
        };
        let stamped = stamp_all(&admitted, &targets, &state_tags, true, &EventSender::channel().0).await;
        let states: Vec<Option<ImageState>> = stamped.iter().map(|s| s.state).collect();
        assert_eq!(states, [Some(state), Some(ImageState::Candidate), Some(ImageState::Candidate)], "{small} {large}");
    }
}
