//! Promotion from outside: a bare remote, a fake cloud, evidence as a validation writes it. What stands in the lock, in the tags and in the exit code.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    cloud::{
        BlockDevice, CloudErrorKind, Image, Snapshot,
        fake::{FakeCloud, Fault},
    },
    config::{
        AccessSettings,
        file::GitDecl,
        promotion_request::{Ledgering, Move},
        request::Format,
    },
    exit::Exit,
    ledger::{Books, BooksRequest, candidate_file, lock_file, world::World},
    model::{
        AmiRecord, Architecture, Candidate, CandidateAmi, CheckEvidence, Digest, Evidence, HostKeyPin, ImageName,
        Outcome, Provenance, Region, RunId, State, TargetEvidence, Verdict,
        evidence::{EVIDENCE_SCHEMA, SuiteRef},
        lock::Lock,
        tags,
    },
};

const SUITE: &str = "suite \"full\" {\n  file \"/etc/passwd\" {\n    exists = true\n  }\n}\n";
const CONFIG: &str = r#"owner = "acme"
image "base" {
  inputs = ["packer/**", "suites/**"]
  suites {
    gold = ["suites/full.hcl"]
  }
  distribution {
    ami_regions   = ["eu-west-1", "us-west-2"]
    ami_users     = ["210987654321"]
    ssm_parameter = "/images/base/{architecture}"
  }
}
"#;

/// A repository with one image, an empty cloud, and the environment of a job on main.
struct Bench {
    world: World,
    cloud: FakeCloud,
    environment: Environment,
}

/// One built and tested run.
#[derive(Clone)]
struct Built {
    candidate: Candidate,
    evidence: Evidence,
    file: PathBuf,
}

fn run(number: u8) -> RunId {
    format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run")
}

fn region(name: &str) -> Region {
    name.parse().expect("a region")
}

fn base() -> ImageName {
    "base".parse().expect("a name")
}

impl Bench {
    fn new() -> Self {
        Self::with(CONFIG)
    }

    fn with(config: &str) -> Self {
        let world = World::new();
        std::fs::create_dir_all(world.path("seed/suites")).expect("a folder");
        std::fs::create_dir_all(world.path("reports")).expect("a folder");
        world.write("seed/suites/full.hcl", SUITE);
        world.write("seed/assay.hcl", config);
        let mut environment = world.environment.clone();
        for (key, value) in [
            ("CIRCLE_BRANCH", "main"),
            ("CIRCLE_WORKFLOW_ID", "workflow-1"),
            ("CIRCLE_BUILD_URL", "https://ci.example/promote/7"),
        ] {
            environment.insert(key.to_owned(), value.to_owned());
        }
        let bench = Self { world, cloud: FakeCloud::new(), environment };
        bench.commit("rules");
        bench.world.git("clone", &["pull", "-q"]);
        bench
    }

    /// Commits everything in `seed` on top of main.
    fn commit(&self, why: &str) {
        self.world.git("seed", &["add", "-A"]);
        self.world.git("seed", &["commit", "-q", "-m", why]);
        self.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
        self.world.git("seed", &["push", "-q", "../remote.git", "main"]);
    }

    async fn books(&self) -> Books {
        Books::open(&BooksRequest {
            folder: self.world.path("clone"),
            branch: "main".to_owned(),
            remote: None,
            environment: self.environment.clone(),
        })
        .await
        .expect("books")
    }

    async fn lock(&self) -> Lock {
        self.books().await.lock(&base()).await.expect("a lock")
    }

    /// A run of one AMI in us-east-1: in the cloud, its candidate file on main, its evidence beside.
    async fn built(&self, number: u8) -> Built {
        let inputs = ["packer/**".to_owned(), "suites/**".to_owned()];
        let digest = self.books().await.source_digest(&inputs, &[]).await.expect("a digest");
        let built = self.made(number, digest);
        self.waits(&built.candidate);
        built
    }

    fn made(&self, number: u8, digest: Digest) -> Built {
        let run = run(number);
        let record = AmiRecord {
            ami: format!("us-east-1:ami-0abcdef12345678{number:02x}").parse().expect("an AMI"),
            architecture: Architecture::X86_64,
            name: format!("base-{number}"),
            owner: "123456789012".parse().expect("an account"),
            created_at: "2026-11-22T10:00:00.000Z".to_owned(),
            snapshots: vec![format!("snap-0abcdef12345678{number:02x}")],
        };
        let tested_at = desk::now().to_string();
        let ami = CandidateAmi {
            record: record.clone(),
            state: State::Candidate,
            evidence: Digest::of(b"smoke"),
            tested_at: tested_at.clone(),
        };
        let candidate = Candidate {
            image: base(),
            run,
            state: State::Candidate,
            verdict: Verdict::Passed,
            tested_at,
            provenance: Provenance { source_digest: Some(digest), ..Provenance::default() },
            evidence: Digest::of(b"smoke"),
            amis: vec![ami],
        };
        self.exists(&record, run);
        let evidence = evidence(run, &record);
        let file = self.hands_over(&format!("{run}.json"), &evidence);
        Built { candidate, evidence, file }
    }

    /// The AMI and its snapshot, as the builder left them.
    fn exists(&self, record: &AmiRecord, run: RunId) {
        let tags = [
            (tags::MANAGED, "true".to_owned()),
            (tags::IMAGE, "base".to_owned()),
            (tags::RUN, run.to_string()),
            (tags::STATE, "candidate".to_owned()),
            ("Team", "platform".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let device = |snapshot: &String| BlockDevice {
            device_name: "/dev/xvda".to_owned(),
            snapshot: Some(snapshot.clone()),
            delete_on_termination: true,
        };
        self.cloud.add_image(
            &record.ami.region,
            Image {
                name: record.name.clone(),
                owner: record.owner.clone(),
                created_at: record.created_at.clone(),
                architecture: Some(record.architecture),
                block_devices: record.snapshots.iter().map(device).collect(),
                tags: tags.clone().into(),
                ..crate::registry::tests::image(record.ami.id.as_str(), &[])
            },
        );
        self.cloud.holdings(&record.ami.region, |held| {
            for id in &record.snapshots {
                let snapshot = Snapshot { id: id.clone(), tags: tags.clone().into(), ..Snapshot::default() };
                held.snapshots.insert(id.clone(), snapshot);
            }
        });
    }

    fn waits(&self, candidate: &Candidate) {
        let path = candidate_file::path(candidate);
        let folder = self.world.path("seed").join(&path);
        std::fs::create_dir_all(folder.parent().expect("a folder")).expect("a folder");
        self.world.write(&format!("seed/{path}"), &candidate_file::write(candidate));
        self.commit("candidate");
    }

    fn hands_over(&self, name: &str, evidence: &Evidence) -> PathBuf {
        self.world.write(&format!("reports/{name}"), &serde_json::to_string_pretty(evidence).expect("JSON"));
        self.world.path("reports").join(name)
    }

    fn ledgering(&self) -> Ledgering {
        Ledgering {
            config: self.world.path("clone/assay.hcl"),
            git: GitDecl::default(),
            access: AccessSettings::default(),
            open_branch: None,
            reason: None,
            format: Format::Text,
        }
    }

    async fn promote(&self, to: Goal, run: Option<RunId>) -> Result<Moved, PromotionError> {
        self.promote_from(self.ledgering(), to, run).await
    }

    async fn promote_from(&self, ledgering: Ledgering, to: Goal, run: Option<RunId>) -> Result<Moved, PromotionError> {
        let request = PromoteRequest { ledgering, images: vec![base()], all: false, to, run };
        let (events, _heard) = Events::channel();
        let mut results = promote_with(&request, &self.cloud, &self.environment, &events).await;
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    async fn vet(&self, built: &Built) -> Result<Moved, PromotionError> {
        self.promote(Goal::Vetted(vec![built.file.clone()]), None).await
    }

    async fn gold(&self) -> Result<Moved, PromotionError> {
        self.promote(Goal::Gold, None).await
    }

    async fn to_gold(&self, built: &Built) -> Moved {
        done(self.vet(built).await);
        done(self.gold().await)
    }

    async fn moved(&self, what: Move) -> Result<Moved, PromotionError> {
        let ledgering = Ledgering { reason: Some("because".to_owned()), ..self.ledgering() };
        let (events, _heard) = Events::channel();
        let request = MoveRequest { ledgering, image: base(), what };
        moved_with(&request, &self.cloud, &self.environment, &events).await
    }

    fn images(&self, region_name: &str) -> Vec<Image> {
        self.cloud.images(&region(region_name))
    }

    fn state_tag(&self, record: &AmiRecord) -> String {
        let image = self.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        image.tags[tags::STATE].clone()
    }

    /// The runs that some AMI is tagged gold for.
    fn tagged_gold(&self) -> Vec<String> {
        let regions = ["us-east-1", "eu-west-1", "us-west-2"];
        let images = regions.iter().flat_map(|region| self.images(region));
        let gold = images.filter(|image| image.tags.get(tags::STATE).is_some_and(|state| state == "gold"));
        let mut runs: Vec<String> = gold.map(|image| image.tags[tags::RUN].clone()).collect();
        runs.sort();
        runs.dedup();
        runs
    }
}

fn evidence(run: RunId, record: &AmiRecord) -> Evidence {
    let check = CheckEvidence {
        suite: "full".to_owned(),
        file: Some("suites/full.hcl".to_owned()),
        resource: "file".to_owned(),
        id: "/etc/passwd".to_owned(),
        property: "exists".to_owned(),
        outcome: Outcome::Passed,
        expected: true.into(),
        actual: true.into(),
        message: String::new(),
        attempts: 1,
        flaky: false,
        duration_ms: 1,
    };
    let suite = SuiteRef {
        name: "full".to_owned(),
        path: "suites/full.hcl".to_owned(),
        digest: Digest::of(SUITE.as_bytes()),
        planned: 1,
    };
    Evidence {
        schema: EVIDENCE_SCHEMA,
        verdict: Verdict::Passed,
        run,
        runs: Vec::new(),
        shard: None,
        workflow: Some("workflow-1".to_owned()),
        image: Some(base()),
        provenance: Provenance::default(),
        started_at: desk::now().to_string(),
        finished_at: desk::now().to_string(),
        suites: vec![suite],
        targets: vec![TargetEvidence {
            verdict: Verdict::Passed,
            host_key: HostKeyPin::Injected,
            checks: vec![check],
            ..TargetEvidence::new(record.ami.to_string(), Some(record.clone()))
        }],
        assay_version: "0.1.0".to_owned(),
        confinement: Vec::new(),
        leftovers: Vec::new(),
    }
}

fn done(result: Result<Moved, PromotionError>) -> Moved {
    let moved = result.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(moved.missing, [""; 0], "all in place");
    moved
}

fn told(error: &PromotionError) -> String {
    let mut text = crate::model::cause::chain(error);
    if let PromotionError::Refused { refusals, .. } = error {
        refusals.iter().for_each(|refusal| text.push_str(&format!("\n{refusal}")));
    }
    text
}

fn refused(result: Result<Moved, PromotionError>) -> String {
    let error = result.expect_err("must be refused");
    assert_eq!(error.exit(), Exit::Conflict, "{}", told(&error));
    told(&error)
}

#[tokio::test]
async fn a_candidate_becomes_vetted_and_then_gold_everywhere() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    let record = &built.candidate.amis[0].record;

    let vetted = done(bench.vet(&built).await);
    assert_eq!((vetted.state, &vetted.change), (State::Vetted, &Change::Made));
    assert_eq!(bench.state_tag(record), "vetted");
    let books = bench.books().await;
    assert_eq!(books.candidates(&base()).await.expect("candidates"), [], "moved into the lock");
    let lock = bench.lock().await;
    assert_eq!(lock.entries[0].candidate.as_ref(), Some(&built.candidate));
    assert_eq!(lock.entries[0].by, "https://ci.example/promote/7");
    let kept = evidence::path(&base(), run(1), lock.evidence_of(run(1)).expect("a digest"));
    let bytes = books.file(&kept).await.expect("read").expect("the evidence is in git");
    assert_eq!(bytes, std::fs::read(&built.file).expect("the file"), "byte for byte");
    assert_eq!(done(bench.vet(&built).await).change, Change::Already);

    let gold = done(bench.gold().await);
    assert_eq!((gold.run, gold.state, gold.copied.len()), (run(1), State::Gold, 2));
    let lock = bench.lock().await;
    assert_eq!(lock.gold, Some(run(1)));
    let amis = lock.amis(run(1));
    assert_eq!(amis.len(), 3, "the tested one and two copies");
    for record in &amis {
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        assert_eq!(image.tags[tags::STATE], "gold");
        assert_eq!(image.tags["Team"], "platform", "the user's tags go along");
        assert_eq!(image.tags[tags::EVIDENCE], lock.evidence_of(run(1)).expect("a digest").as_str());
        assert_eq!(image.tags[tags::PROMOTED_BY], "https://ci.example/promote/7");
        assert!(image.deregistration_protected);
        bench.cloud.holdings(&record.ami.region, |held| {
            let users = &held.sharing[&record.ami.id].sharing.users;
            assert_eq!(users.iter().map(ToString::to_string).collect::<Vec<_>>(), ["210987654321"]);
            assert_eq!(held.volume_permissions[&record.snapshots[0]].len(), 1);
            assert_eq!(held.snapshots[&record.snapshots[0]].tags[tags::STATE], "gold");
            assert_eq!(held.parameters["/images/base/x86_64"], record.ami.id.as_str());
        });
    }
    let names = bench.world.git("remote.git", &["tag", "--list"]);
    assert!(names.contains("base/vetted/") && names.contains("base/gold/"), "{names}");
    assert_eq!(
        bench.world.git(
            "remote.git",
            &["cat-file", "-t", &names[names.find("base/gold").expect("there")..].lines().next().expect("a name")]
        ),
        "tag"
    );
    bench.world.assert_sound();

    let changes = |bench: &Bench| {
        let changing =
            |call: &&String| !call.contains(" Describe") && !call.contains(" Get") && !call.contains("ModifySnapshot");
        bench.cloud.calls().iter().filter(changing).count()
    };
    let (before, tip) = (changes(&bench), bench.world.remote_tip());
    let again = done(bench.gold().await);
    assert_eq!((again.change, again.copied.len()), (Change::Already, 0));
    assert_eq!((changes(&bench), bench.world.remote_tip()), (before, tip), "nothing is done twice");
}

#[tokio::test]
async fn a_new_gold_retires_the_old_one_in_the_same_commit() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    let moved = bench.to_gold(&second).await;
    let lock = bench.lock().await;
    assert_eq!((lock.gold, lock.state_of(run(1))), (Some(run(2)), Some(State::Retired)));
    let lines = bench.world.git("remote.git", &["show", "--format=", "--name-only", &moved.written.commit]);
    assert_eq!(lines, "images/base.lock.hcl");
    for record in lock.amis(run(1)) {
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        assert_eq!(image.tags[tags::STATE], "retired");
        assert!(!image.deregistration_protected, "our protection is lifted");
    }
    assert_eq!(bench.tagged_gold(), [run(2).to_string()]);

    let back = done(bench.moved(Move::Rollback { run: None }).await);
    assert_eq!(back.run, run(1));
    let lock = bench.lock().await;
    assert_eq!((lock.gold, lock.state_of(run(2))), (Some(run(1)), Some(State::Retired)));
    assert_eq!(bench.tagged_gold(), [run(1).to_string()]);
    bench.cloud.holdings(&region("us-west-2"), |held| {
        let gold = lock.amis(run(1)).into_iter().find(|r| r.ami.region == region("us-west-2")).expect("a copy");
        assert_eq!(held.parameters["/images/base/x86_64"], gold.ami.id.as_str());
    });
    let stays = done(bench.gold().await);
    assert_eq!(
        (stays.run, stays.change),
        (run(1), Change::Already),
        "a promotion without anything new keeps the rollback"
    );
}

#[tokio::test]
async fn protection_of_others_is_not_lifted() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    let record = &first.candidate.amis[0].record;
    let mut image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    image.deregistration_protected = true;
    bench.cloud.add_image(&record.ami.region, image);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    assert_eq!((image.tags[tags::STATE].as_str(), image.deregistration_protected), ("retired", true));
}

#[tokio::test]
async fn what_is_superseded_is_retired_and_what_is_not_stays() {
    let bench = Bench::new();
    let old_inputs = bench.made(1, Digest::of(b"older inputs"));
    let mut candidate = old_inputs.candidate.clone();
    candidate.tested_at = "2026-11-20T00:00:00Z".to_owned();
    candidate.amis[0].tested_at.clone_from(&candidate.tested_at);
    bench.waits(&candidate);
    let (vetted, gold, later) = (bench.built(2).await, bench.built(3).await, bench.built(4).await);
    done(bench.vet(&vetted).await);
    bench.to_gold(&gold).await;
    let lock = bench.lock().await;
    assert_eq!(lock.gold, Some(run(3)));
    assert_eq!(lock.state_of(run(1)), Some(State::Retired), "an old candidate of other inputs");
    assert_eq!(lock.state_of(run(2)), Some(State::Retired), "vetted before");
    assert_eq!(lock.last(run(2)).expect("an entry").reason, format!("superseded by {}", run(3)));
    assert_eq!(lock.state_of(run(4)), None, "of the same inputs: it stays a candidate");
    assert_eq!(bench.state_tag(&vetted.candidate.amis[0].record), "retired");
    assert_eq!(bench.state_tag(&later.candidate.amis[0].record), "candidate");
}

/// Changes one thing of a good run and says what the refusal must say.
type Abuse = (&'static str, Box<dyn Fn(&Bench, &mut Built)>, &'static str);

fn image_of(bench: &Bench, built: &Built, change: impl FnOnce(&mut Image)) {
    let ami = &built.candidate.amis[0].record.ami;
    let mut image = bench.cloud.image(&ami.region, &ami.id).expect("an AMI");
    change(&mut image);
    bench.cloud.add_image(&ami.region, image);
}

fn abuses() -> Vec<Abuse> {
    fn one(what: &'static str, change: impl Fn(&Bench, &mut Built) + 'static, says: &'static str) -> Abuse {
        (what, Box::new(change), says)
    }
    fn tag(key: &'static str, value: &'static str) -> impl Fn(&Bench, &mut Built) {
        move |bench, built| image_of(bench, built, |image| drop(image.tags.insert(key.to_owned(), value.to_owned())))
    }
    let ago = |hours: i64| desk::now().checked_sub(jiff::Span::new().hours(hours)).expect("a time").to_string();
    let (stale, future) = (ago(25), ago(-2));
    vec![
        one("template's gold", tag(tags::STATE, "gold"), "its tag assay:state says gold, which only the lock can"),
        one(
            "template's vetted",
            tag(tags::STATE, "vetted"),
            "its tag assay:state says vetted, which only the lock can",
        ),
        one("rejected", tag(tags::STATE, "rejected"), "its tag assay:state is \"rejected\"; expected \"candidate\""),
        one("another run's AMI", tag(tags::RUN, "01KAQ3B6G0R8ZJ5Q2X7V9N4M99"), "its tag assay:run is"),
        one("another image's AMI", tag(tags::IMAGE, "app"), "its tag assay:image is \"app\"; expected \"base\""),
        one("unmanaged", tag(tags::MANAGED, "no"), "its tag assay:managed is \"no\""),
        one("renamed", |b, r| image_of(b, r, |i| i.name = "swapped".to_owned()), "its name is \"swapped\""),
        one(
            "swapped",
            |b, r| image_of(b, r, |i| i.created_at = "2026-11-23T00:00:00.000Z".to_owned()),
            "its creation date is",
        ),
        one(
            "sold",
            |b, r| image_of(b, r, |i| i.owner = "999999999999".parse().expect("an account")),
            "its owner is \"999999999999\"",
        ),
        one(
            "other disk",
            |b, r| image_of(b, r, |i| i.block_devices[0].snapshot = Some("snap-1".to_owned())),
            "its snapshots is \"snap-1\"",
        ),
        one("disabled", |b, r| image_of(b, r, |i| i.state = "disabled".to_owned()), "is disabled, not available"),
        one("other run's evidence", |_, r| r.evidence.run = run(9), "neither images/base/candidates/"),
        one("merged of two runs", |_, r| r.evidence.runs = vec![run(9)], "not of run"),
        one("stale", move |_, r| r.evidence.finished_at.clone_from(&stale), "is stale: finished at"),
        one("from the future", move |_, r| r.evidence.finished_at.clone_from(&future), "was finished in the future"),
        one("failed", |_, r| r.evidence.verdict = Verdict::Failed, "its verdict is failed, not passed"),
        one("undecided target", |_, r| r.evidence.targets[0].verdict = Verdict::Undecided, "is undecided, not passed"),
        one(
            "lying verdict",
            |_, r| r.evidence.targets[0].checks[0].outcome = Outcome::Failed,
            "are not all answered as its verdict says",
        ),
        one("nothing asked", |_, r| r.evidence.targets[0].checks.clear(), "are not all answered as its verdict says"),
        one("nothing tested", |_, r| r.evidence.targets.clear(), "tested nothing"),
        one("no gold suite", |_, r| r.evidence.suites.clear(), "did not run the suite suites/full.hcl"),
        one("weaker suite", |_, r| r.evidence.suites[0].digest = Digest::of(b"weak"), "on the protected branch it is"),
        one(
            "unpinned host key",
            |_, r| r.evidence.targets[0].host_key = HostKeyPin::None,
            "was not known before it was trusted",
        ),
        one(
            "a share",
            |_, r| {
                let shard = crate::model::Shard::new(1, 2).expect("a share");
                r.evidence.shard = Some(crate::model::shard::ShardRecord { shard, planned: Vec::new() });
            },
            "is only the share 1/2 of the whole",
        ),
        one(
            "another AMI's evidence",
            |_, r| {
                let record = r.evidence.targets[0].ami.as_mut().expect("a record");
                record.ami.id = "ami-0000000000000000f".parse().expect("an id");
            },
            "the evidence does not cover it",
        ),
        one(
            "another record",
            |_, r| r.evidence.targets[0].ami.as_mut().expect("a record").name = "x".to_owned(),
            "otherwise than the candidate file does",
        ),
        one(
            "another workflow",
            |_, r| r.evidence.workflow = Some("workflow-2".to_owned()),
            "was made by another workflow (workflow-2)",
        ),
        one("no workflow", |_, r| r.evidence.workflow = None, "was made by another workflow (none)"),
    ]
}

#[tokio::test]
async fn each_abuse_is_refused_by_name_and_nothing_is_written() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    let ami = built.candidate.amis[0].record.ami.clone();
    let image = bench.cloud.image(&ami.region, &ami.id).expect("an AMI");
    let tip = bench.world.remote_tip();
    for (what, change, says) in abuses() {
        let mut bad = built.clone();
        change(&bench, &mut bad);
        bad.file = bench.hands_over("bad.json", &bad.evidence);
        let words = refused(bench.vet(&bad).await);
        assert!(words.contains(says), "{what}: {words}");
        assert_eq!(bench.world.remote_tip(), tip, "{what}: nothing is written");
        assert_eq!(bench.cloud.count("CreateTags"), 0, "{what}");
        bench.cloud.add_image(&ami.region, image.clone());
    }
    done(bench.vet(&built).await);
}

#[tokio::test]
async fn several_reasons_are_told_at_once() {
    let bench = Bench::new();
    let mut built = bench.built(1).await;
    built.evidence.suites.clear();
    built.evidence.targets[0].host_key = HostKeyPin::None;
    built.file = bench.hands_over("bad.json", &built.evidence);
    image_of(&bench, &built, |image| image.name = "swapped".to_owned());
    let error = bench.vet(&built).await.expect_err("refused");
    let PromotionError::Refused { refusals, .. } = &error else { panic!("{error}") };
    assert_eq!(refusals.len(), 3, "{}", told(&error));
}

#[tokio::test]
async fn unsigned_evidence_counts_only_within_the_pipeline_of_the_protected_branch() {
    let mut bench = Bench::new();
    let built = bench.built(1).await;
    // A file that a commit brought along.
    std::fs::create_dir_all(bench.world.path("seed/reports")).expect("a folder");
    std::fs::copy(&built.file, bench.world.path("seed/reports/evidence.json")).expect("copied");
    bench.commit("trust me");
    bench.world.git("clone", &["pull", "-q"]);
    let tracked = bench.world.path("clone/reports/evidence.json");
    let words = refused(bench.promote(Goal::Vetted(vec![tracked.clone()]), None).await);
    assert!(words.contains("is tracked in git and not signed"), "{words}");
    let link = bench.world.path("reports/link.json");
    std::os::unix::fs::symlink(&tracked, &link).expect("a link");
    let words = refused(bench.promote(Goal::Vetted(vec![link]), None).await);
    assert!(words.contains("is tracked in git and not signed"), "{words}");

    bench.environment.insert("CIRCLE_BRANCH".to_owned(), "topic".to_owned());
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("this job builds topic, not the protected branch main"), "{words}");
    for name in ["CIRCLE_BRANCH", "CIRCLE_WORKFLOW_ID"] {
        bench.environment.remove(name);
    }
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("this is no CI job whose pipeline could vouch for it"), "{words}");
}

#[tokio::test]
async fn a_trusted_signature_vouches_wherever_the_evidence_comes_from() {
    use crate::signing::{Signer, SigningKey, sign};
    let key = |name: &str, bench: &Bench| {
        let path = bench.world.path(name);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f"])
            .arg(&path)
            .status()
            .expect("ssh-keygen runs; install it with: apt-get install openssh-client");
        assert!(made.success());
        Signer::Key(SigningKey::read(&path).expect("a key"))
    };
    let signed = async |built: &Built, signer: &Signer| {
        let bytes = std::fs::read(&built.file).expect("evidence");
        let text = sign(&bytes, signer, async |_: &str, _: &[u8]| Err("no KMS".to_owned())).await.expect("signed");
        std::fs::write(built.file.with_extension("json.sig"), text).expect("written");
    };
    let mut bench = Bench::with(&format!("promotion {{\n  require_signature = true\n}}\n{CONFIG}"));
    let built = bench.built(1).await;
    for name in ["CIRCLE_BRANCH", "CIRCLE_WORKFLOW_ID"] {
        bench.environment.remove(name);
    }
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("promotion { require_signature = true }"), "{words}");
    let (ours, theirs) = (key("ours", &bench), key("theirs", &bench));
    signed(&built, &ours).await;
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("nobody's key is trusted"), "{words}");
    // In the work tree only: that counts for nothing.
    let line = format!("tester namespaces=\"assay-evidence\" {}\n", ours.public_line().expect("a line"));
    std::fs::create_dir_all(bench.world.path("clone/images")).expect("a folder");
    bench.world.write("clone/images/allowed_signers", &line);
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("nobody's key is trusted"), "{words}");
    std::fs::remove_file(bench.world.path("clone/images/allowed_signers")).expect("removed");
    bench.world.write("seed/images/allowed_signers", &line);
    bench.commit("trust the tester");
    signed(&built, &theirs).await;
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("its signature is not accepted"), "{words}");
    signed(&built, &ours).await;
    done(bench.vet(&built).await);
    done(bench.gold().await);
    let lock = bench.lock().await;
    let path = evidence::path(&base(), run(1), lock.evidence_of(run(1)).expect("a digest"));
    assert!(bench.books().await.file(&format!("{path}.sig")).await.expect("read").is_some());
}

#[tokio::test]
async fn gold_is_asked_everything_again() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    let tip = bench.world.remote_tip();
    // A builder that tags gold changes nothing: the lock says what is gold.
    image_of(&bench, &built, |image| drop(image.tags.insert(tags::STATE.to_owned(), "gold".to_owned())));
    image_of(&bench, &built, |image| image.name = "swapped".to_owned());
    let words = refused(bench.gold().await);
    assert!(words.contains("its name is \"swapped\""), "{words}");
    image_of(&bench, &built, |image| image.name = "base-1".to_owned());
    bench.world.write("seed/packer/base.pkr.hcl", "# edited since\n");
    bench.commit("another template");
    let words = refused(bench.gold().await);
    assert!(words.contains("was made from other inputs"), "{words}");
    assert_eq!(bench.cloud.count("CopyImage"), 0);
    assert_ne!(bench.world.remote_tip(), tip, "the edit itself");
    assert_eq!(bench.lock().await.gold, None);
}

#[tokio::test]
async fn evidence_in_git_that_was_changed_promotes_nothing() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
    let lock = bench.lock().await;
    let path = evidence::path(&base(), run(1), lock.evidence_of(run(1)).expect("a digest"));
    bench.world.write(&format!("seed/{path}"), "{}");
    bench.commit("forged");
    let words = refused(bench.gold().await);
    assert!(words.contains("was changed: its digest is"), "{words}");
}

#[tokio::test]
async fn the_parent_must_still_be_gold() {
    let app = "image \"app\" {\n  inputs = [\"packer/**\"]\n}\n";
    let config = CONFIG.replace("  inputs = [", "  parent = \"app\"\n  inputs = [");
    let bench = Bench::with(&format!("{config}{app}"));
    let mut built = bench.built(1).await;
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("its parent, image app, has no gold"), "{words}");
    // Any run will do for a parent's gold.
    let mut lock = crate::ledger::fixtures::lock();
    lock.image = "app".parse().expect("a name");
    lock.entries[0].candidate.as_mut().expect("there").image = lock.image.clone();
    let entries = std::mem::take(&mut lock.entries);
    entries.into_iter().for_each(|entry| lock_file::append(&mut lock, entry));
    std::fs::create_dir_all(bench.world.path("seed/images")).expect("a folder");
    bench.world.write("seed/images/app.lock.hcl", &lock_file::write(&lock));
    bench.commit("app is gold");
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("does not say which AMI of app it was built on"), "{words}");
    built.candidate.provenance.parent = Some("ami-0000000000000000f".parse().expect("an id"));
    bench.waits(&built.candidate);
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("was built on ami-0000000000000000f, which is not gold of image app"), "{words}");
    built.candidate.provenance.parent = Some(lock.amis(lock.gold.expect("gold"))[0].ami.id.clone());
    bench.waits(&built.candidate);
    image_of(&bench, &built, |image| drop(image.tags.insert(tags::PARENT.to_owned(), "ami-1".to_owned())));
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("was built on ami-1"), "{words}");
    let gold = lock.amis(lock.gold.expect("gold"))[0].ami.id.to_string();
    image_of(&bench, &built, |image| drop(image.tags.insert(tags::PARENT.to_owned(), gold.clone())));
    done(bench.vet(&built).await);
}

#[tokio::test]
async fn what_assay_hcl_declares_must_be_covered() {
    let config = CONFIG.replace("  inputs = [", "  architectures = [\"x86_64\", \"arm64\"]\n  inputs = [");
    let bench = Bench::with(&config);
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    let words = refused(bench.gold().await);
    assert!(words.contains("declares arm64 in eu-west-1, and the run has no such AMI"), "{words}");
    assert_eq!(bench.cloud.count("CopyImage"), 0, "nothing is copied for what cannot be gold");
}

#[tokio::test]
async fn of_two_promoters_one_is_refused_and_gold_is_one() {
    let bench = Arc::new(Bench::new());
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    done(bench.vet(&first).await);
    done(bench.vet(&second).await);
    let (a, b) = tokio::join!(
        bench.promote(Goal::Gold, Some(run(1))),
        bench.promote_from(Ledgering { config: bench.other_clone(), ..bench.ledgering() }, Goal::Gold, Some(run(2)))
    );
    let exits = [&a, &b].map(|result| result.as_ref().map_or_else(PromotionError::exit, Moved::exit));
    let gold = bench.lock().await.gold.expect("one won");
    let refused = exits.iter().filter(|exit| **exit == Exit::Conflict).count();
    // Either one was refused, or they came one after the other.
    assert!(refused <= 1, "{exits:?}");
    assert_eq!(bench.tagged_gold(), [gold.to_string()], "{exits:?}");
}

impl Bench {
    fn other_clone(&self) -> PathBuf {
        self.world.git(".", &["clone", "-q", "remote.git", "other"]);
        self.world.path("other/assay.hcl")
    }
}

#[tokio::test]
async fn a_promoter_that_was_overtaken_before_its_push_is_refused() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    done(bench.vet(&first).await);
    done(bench.vet(&second).await);
    let other = bench.other_clone();
    // The other one's lock, as its push will leave it, goes in while ours copies.
    let mut lock = bench.lock().await;
    let mut entry = lock.entries[0].clone();
    (entry.state, entry.candidate, entry.evidence) = (State::Gold, None, None);
    lock_file::append(&mut lock, entry);
    lock.gold = Some(run(1));
    std::fs::write(other.with_file_name("images").join("base.lock.hcl"), lock_file::write(&lock)).expect("written");
    bench.world.git("other", &["commit", "-q", "-am", "the other one"]);
    let pushed = Arc::new(AtomicUsize::new(0));
    let (folder, environment) = (bench.world.path("other"), bench.world.environment.clone());
    bench.cloud.on_call(move |action, _| {
        if action == "CopyImage" && pushed.fetch_add(1, Ordering::SeqCst) == 0 {
            let push = std::process::Command::new("git")
                .args(["push", "-q", "origin", "main"])
                .current_dir(&folder)
                .env_clear()
                .envs(&environment)
                .status();
            assert!(push.expect("git runs").success());
        }
    });
    let words = refused(bench.promote(Goal::Gold, Some(run(2))).await);
    assert!(words.contains(&format!("gold moved meanwhile from none to {}", run(1))), "{words}");
    assert_eq!(bench.lock().await.gold, Some(run(1)));
    assert_eq!(bench.tagged_gold(), [""; 0]);
}

#[tokio::test]
async fn whatever_call_fails_the_next_run_converges() {
    for action in [
        "CopyImage",
        "CreateTags",
        "EnableImageDeregistrationProtection",
        "ModifyImageAttribute",
        "ModifySnapshotAttribute",
        "PutParameter",
        "GetParameter",
        "DescribeImageAttribute",
        "DescribeTags",
    ] {
        for fault in [Fault::Refuse(CloudErrorKind::Denied), Fault::LoseAnswer] {
            let bench = Bench::new();
            let built = bench.built(1).await;
            done(bench.vet(&built).await);
            bench.cloud.fault(action, fault);
            let broken = bench.gold().await;
            let exit = broken.as_ref().map_or_else(PromotionError::exit, Moved::exit);
            assert!(matches!(exit, Exit::Undecided | Exit::Done), "{action} {fault:?}: {broken:?}");
            if fault == Fault::Refuse(CloudErrorKind::Denied) {
                assert_eq!(exit, Exit::Undecided, "{action}: {broken:?}");
            }
            let moved = done(bench.gold().await);
            assert_eq!(moved.state, State::Gold, "{action} {fault:?}");
            let lock = bench.lock().await;
            assert_eq!(lock.amis(run(1)).len(), 3, "{action} {fault:?}");
            assert_eq!(bench.images("eu-west-1").len(), 1, "{action} {fault:?}: one copy, not two");
            for record in lock.amis(run(1)) {
                assert_eq!(bench.state_tag(&record), "gold", "{action} {fault:?}");
                bench.cloud.holdings(&record.ami.region, |held| {
                    assert_eq!(held.parameters["/images/base/x86_64"], record.ami.id.as_str(), "{action} {fault:?}");
                    assert_eq!(held.sharing[&record.ami.id].sharing.users.len(), 1, "{action} {fault:?}");
                });
            }
        }
    }
}

#[tokio::test]
async fn a_region_that_is_added_later_gets_its_copy() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    bench.to_gold(&built).await;
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
    bench.world.write("seed/assay.hcl", &CONFIG.replace("\"us-west-2\"", "\"us-west-2\", \"eu-central-1\""));
    bench.commit("one region more");
    let moved = done(bench.gold().await);
    assert_eq!((moved.change, moved.copied.len()), (Change::Made, 1));
    let lock = bench.lock().await;
    assert_eq!((lock.gold, lock.amis(run(1)).len()), (Some(run(1)), 4));
    assert_eq!(bench.images("eu-central-1")[0].tags[tags::STATE], "gold");
}

#[tokio::test]
async fn moves_that_are_not_legal_are_refused() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    let revoke = |number, force| Move::Revoke { run: run(number), at: None, force };
    for (what, says) in [
        (Move::Retire { run: run(1) }, "is gold; promote another run first"),
        (Move::Reject { run: run(1), release: false }, "is gold; promote another run first"),
        (revoke(1, false), "is gold; promote another run first, or revoke it with --force"),
        (Move::Rollback { run: Some(run(2)) }, "is not in the lock"),
        (Move::Retire { run: run(9) }, "was its pull request merged?"),
    ] {
        let words = refused(bench.moved(what).await);
        assert!(words.contains(says), "{what:?}: {words}");
    }
    let error = bench.moved(Move::Rollback { run: None }).await.expect_err("nothing to go back to");
    assert_eq!(error.exit(), Exit::Nothing);

    done(bench.moved(Move::Reject { run: run(2), release: false }).await);
    assert_eq!(bench.state_tag(&second.candidate.amis[0].record), "rejected");
    assert_eq!(bench.lock().await.state_of(run(2)), Some(State::Rejected), "moved in from its candidate file");
    assert_eq!(done(bench.moved(Move::Reject { run: run(2), release: false }).await).change, Change::Already);
    let words = refused(bench.vet(&second).await);
    assert!(words.contains("state rejected cannot become vetted"), "{words}");
    done(bench.moved(revoke(2, false)).await);
    for what in [Move::Retire { run: run(2) }, Move::Reject { run: run(2), release: false }] {
        let words = refused(bench.moved(what).await);
        assert!(words.contains("state revoked cannot become"), "{words}");
    }
}

#[tokio::test]
async fn a_revoked_gold_is_deprecated_and_shared_with_nobody() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    bench.to_gold(&built).await;
    let moved = done(bench.moved(Move::Revoke { run: run(1), at: None, force: true }).await);
    assert!(moved.notes[0].contains("has no gold now"), "{:?}", moved.notes);
    let lock = bench.lock().await;
    assert_eq!(lock.gold, None);
    for record in lock.amis(run(1)) {
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        assert_eq!(image.tags[tags::STATE], "revoked");
        assert!(!image.attributes.deprecation_time.is_empty());
        bench.cloud.holdings(&record.ami.region, |held| assert!(held.sharing[&record.ami.id].nobody()));
    }
    let words = refused(bench.moved(Move::Rollback { run: Some(run(1)) }).await);
    assert!(words.contains("is revoked"), "{words}");
    assert_eq!(bench.gold().await.expect_err("nothing").exit(), Exit::Nothing);
}

#[tokio::test]
async fn an_announced_revocation_takes_nothing_away_before_its_time() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    let at = "2099-01-01T00:00:00Z".parse().expect("a time");
    done(bench.moved(Move::Revoke { run: run(1), at: Some(at), force: false }).await);
    let lock = bench.lock().await;
    let record = &lock.amis(run(1))[0];
    let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    assert_eq!(image.attributes.deprecation_time, "2099-01-01T00:00:00Z");
    bench.cloud.holdings(&record.ami.region, |held| assert!(!held.sharing[&record.ami.id].nobody()));
}

#[tokio::test]
async fn an_open_branch_changes_nothing_but_itself() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    let ledgering = || Ledgering { open_branch: Some("assay/base".to_owned()), ..bench.ledgering() };
    let tip = bench.world.remote_tip();
    let proposed = done(bench.promote_from(ledgering(), Goal::Vetted(vec![built.file.clone()]), None).await);
    assert_eq!(proposed.change, Change::Proposed);
    assert_eq!(bench.world.remote_tip(), tip);
    assert_eq!(bench.cloud.count("CreateTags"), 0);
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "assay/base"]);
    bench.world.git("seed", &["push", "-q", "../remote.git", "main"]);
    let merged = done(bench.vet(&built).await);
    assert_eq!(merged.change, Change::Already, "only the tags are due");
    assert_eq!(bench.state_tag(&built.candidate.amis[0].record), "vetted");
}
