//! A fake cloud with AMIs of one repository, and its books: the ground of the tests of pruning.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, future::LocalBoxFuture};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{conduct::prune_with, *};
use crate::test_run::EventSender;
use assay_aws::cloud::{CloudImage, EbsSnapshot, fake::FakeCloud};
use assay_config::{
    AccessSettings,
    file::{KeepRule, RetentionDecl},
    prune::PruneRequest,
    request::OutputFormat,
};
use assay_model::{
    AmiId, AmiRecord, AmiRef, Architecture, Candidate, Digest, ImageName, ImageState, Provenance, Region, RunId,
    Verdict,
    candidate::CandidateAmi,
    lock::{Lock, LockEntry},
    tags,
};

const OWNER: &str = "github.com/example/images";

pub(super) struct PruneWorld {
    pub(super) cloud: FakeCloud,
    pub(super) record: record::RecordedImages,
    pub(super) request: PruneRequest,
    pub(super) region: Region,
    /// What the branch says once the AMIs were looked at.
    pub(super) pushed: Option<record::RecordedImages>,
    pub(super) looks: AtomicUsize,
    number: u32,
}

pub(super) fn run(number: u32) -> RunId {
    format!("01KAQ3B6G0R8ZJ5Q2X7V{number:06}").parse().expect("a run")
}

pub(super) fn ago(days: i64) -> String {
    let time = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * days)).expect("a time");
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

impl PruneWorld {
    pub(super) fn new() -> Self {
        let region: Region = "us-east-1".parse().expect("a region");
        let image: ImageName = "base".parse().expect("a name");
        let request = PruneRequest {
            images: Vec::new(),
            retention: BTreeMap::from([(image, RetentionDecl::default())]),
            keep: KeepRule { keep_releases: Some(0), keep_days: Some(30) },
            regions: vec![region.clone()],
            grace: Duration::from_secs(7 * 86_400),
            owner: None,
            folder: ".".into(),
            branch: "main".to_owned(),
            remote: None,
            access: AccessSettings::default(),
            yes: true,
            format: OutputFormat::Text,
        };
        let (pushed, looks) = (None, AtomicUsize::new(0));
        Self {
            cloud: FakeCloud::new(),
            record: record::RecordedImages::default(),
            request,
            region,
            pushed,
            looks,
            number: 0,
        }
    }

    /// A whole AMI of ours with a stamped snapshot, in `state`, `days` old, of a run of its own.
    pub(super) fn ami(&mut self, state: &str, days: i64) -> AmiId {
        self.number += 1;
        let run = run(self.number);
        self.ami_of(run, state, days, |_| {})
    }

    pub(super) fn ami_of(&mut self, run: RunId, state: &str, days: i64, change: impl FnOnce(&mut CloudImage)) -> AmiId {
        self.number += 1;
        let mut image = assay_aws::cloud::fake::sample_image("ami-00000000", &[&format!("snap-{:08x}", self.number)]);
        image.id = format!("ami-{:08x}", self.number).parse().expect("an id");
        image.name = format!("base-{}", self.number);
        image.created_at = ago(days);
        image.tags = assay_aws::cloud::fake::tag_set(&[
            (tags::MANAGED, "true"),
            (tags::OWNER, OWNER),
            (tags::IMAGE, "base"),
            (tags::RUN, &run.to_string()),
            (tags::STATE, state),
        ]);
        change(&mut image);
        let id = image.id.clone();
        let snapshot = format!("snap-{:08x}", self.number);
        let started_at = image.created_at.parse::<Timestamp>().ok().map(Timestamp::as_second);
        let kept = EbsSnapshot { id: snapshot.clone(), tags: image.tags.clone(), started_at, ..EbsSnapshot::default() };
        self.cloud.holdings(&self.region, |held| held.snapshots.insert(snapshot, kept));
        self.cloud.add_image(&self.region, image);
        id
    }

    pub(super) fn image(&self, id: &AmiId) -> Option<CloudImage> {
        self.cloud.image(&self.region, id)
    }

    pub(super) fn change(&self, id: &AmiId, change: impl FnOnce(&mut CloudImage)) {
        let mut image = self.image(id).expect("an AMI");
        change(&mut image);
        self.cloud.add_image(&self.region, image);
    }

    /// A disabled AMI whose deprecation lies `days` back.
    pub(super) fn retired(&mut self, state: &str, age: i64, days: i64) -> AmiId {
        let id = self.ami(state, age);
        self.change(&id, |image| {
            "disabled".clone_into(&mut image.state);
            image.attributes.deprecation_time = ago(days);
        });
        id
    }

    /// Writes into the lock that `id` reached `states`, one after the other.
    pub(super) fn lock(&mut self, lock: &mut Lock, id: &AmiId, states: &[ImageState], parent: Option<AmiId>) {
        let image = self.image(id).expect("an AMI");
        let run: RunId = image.tags[tags::RUN].parse().expect("a run");
        let ami = AmiRef { region: self.region.clone(), id: id.clone() };
        let snapshots = subject::snapshots(&image).into_iter().collect();
        let record = AmiRecord {
            ami,
            architecture: Architecture::X86_64,
            name: image.name.clone(),
            owner: image.owner.clone(),
            created_at: image.created_at.clone(),
            snapshots,
        };
        let (evidence, tested_at) = (Digest::of(b"x"), image.created_at.clone());
        let state = ImageState::Candidate;
        let amis = vec![CandidateAmi { record, state, evidence: evidence.clone(), tested_at: tested_at.clone() }];
        let provenance = Provenance { parent, ..Provenance::default() };
        let (verdict, line) = (Verdict::Passed, lock.image.clone());
        let candidate = Candidate { image: line, run, state, verdict, tested_at, provenance, evidence, amis };
        for (index, state) in states.iter().enumerate() {
            lock.entries.push(LockEntry {
                run,
                state: *state,
                by: "a test".to_owned(),
                at: image.created_at.clone(),
                reason: "because".to_owned(),
                evidence: None,
                effective_at: None,
                previous: None,
                candidate: (index == 0).then(|| candidate.clone()),
                copies: Vec::new(),
            });
            if *state == ImageState::Gold {
                lock.gold = Some(run);
            }
        }
    }

    pub(super) async fn prune(&self) -> PruneReport {
        let (events, _heard) = EventSender::channel();
        let cancel = CancellationToken::new();
        let pruned = prune_with(&self.cloud, &self.request, self, OWNER, &events, &cancel).await;
        pruned.expect("it can be judged")
    }

    /// What would be done with an AMI, and why it is kept.
    pub(super) async fn judged(&self, id: &AmiId) -> (PruneAction, String) {
        let (events, _heard) = EventSender::channel();
        let request = PruneRequest { yes: false, ..self.request.clone() };
        let asked = prune_with(&self.cloud, &request, self, OWNER, &events, &CancellationToken::new()).await;
        let pruned = asked.expect("it can be judged");
        let subject = pruned.plan.subjects.iter().find(|s| s.ami.id == *id).expect("it was looked at");
        let why = subject.claim.as_ref().err().cloned().unwrap_or_else(|| subject.keep.join("; "));
        (subject.decided(), why)
    }

    pub(super) async fn kept_for(&self, id: &AmiId, words: &str) {
        let (action, why) = self.judged(id).await;
        assert_eq!(action, PruneAction::Keep, "{id}: {why}");
        assert!(why.contains(words), "{id}: {why:?} should say {words:?}");
    }

    pub(super) async fn goes(&self, id: &AmiId) {
        let (action, why) = self.judged(id).await;
        assert_eq!(action, PruneAction::Disable, "{id}: {why}");
    }
}

impl latest::LatestRecord for PruneWorld {
    /// What the branch says: after the first look what somebody pushed meanwhile, if anybody did.
    fn latest(&self) -> LocalBoxFuture<'_, Result<Arc<record::RecordedImages>, String>> {
        let looked = self.looks.fetch_add(1, Ordering::SeqCst);
        let pushed = self.pushed.as_ref().filter(|_| looked > 0);
        ready(Ok(Arc::new(pushed.unwrap_or(&self.record).clone()))).boxed_local()
    }
}

pub(super) fn lock_of(image: &str) -> Lock {
    Lock::new(image.parse().expect("a name"))
}
