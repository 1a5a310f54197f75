//! Promotion from outside: a bare remote, a fake cloud, evidence as a validation writes it. What stands in the lock, in the tags and in the exit code.

mod abuse;
mod converge;
mod format_one;
mod history;
mod junk;
mod moves;
mod ways;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use assay_aws::cloud::{
    BlockDevice, CloudErrorKind, CloudImage, EbsSnapshot,
    fake::{FakeCloud, FakeFault},
};
use assay_config::{
    AccessSettings,
    file::GitDecl,
    promotion_request::{LedgerOptions, RunMove},
    request::OutputFormat,
};
use assay_ledger::{BooksRequest, LedgerSnapshot, candidate_file, lock_file, world::GitWorld};
use assay_model::{
    AmiRecord, Architecture, Candidate, CandidateAmi, CheckEvidence, CheckOutcome, Digest, Evidence, HostKeyPin,
    ImageName, ImageState, Provenance, Region, RunId, TargetEvidence, Verdict,
    evidence::{EVIDENCE_SCHEMA, SuiteRef},
    exit::ExitStatus,
    lock::Lock,
    tags,
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
    world: GitWorld,
    cloud: FakeCloud,
    environment: GitEnvironment,
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
        let world = GitWorld::new();
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

    async fn books(&self) -> LedgerSnapshot {
        LedgerSnapshot::open(&BooksRequest {
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
        let digest = self.books().await.source_digest(&inputs, &[], "").await.expect("a digest").current;
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
        let tested_at = context::now().to_string();
        let ami = CandidateAmi {
            record: record.clone(),
            state: ImageState::Candidate,
            evidence: Digest::of(b"smoke"),
            tested_at: tested_at.clone(),
        };
        let candidate = Candidate {
            image: base(),
            run,
            state: ImageState::Candidate,
            verdict: Verdict::Passed,
            tested_at,
            provenance: Provenance { source_digest: Some(digest.clone()), ..Provenance::default() },
            evidence: Digest::of(b"smoke"),
            amis: vec![ami],
        };
        self.exists(&record, run, &digest);
        let evidence = evidence(run, &record);
        let file = self.hands_over(&format!("{run}.json"), &evidence);
        Built { candidate, evidence, file }
    }

    /// The AMI and its snapshot, as the builder left them.
    fn exists(&self, record: &AmiRecord, run: RunId, digest: &Digest) {
        let tags = [
            (tags::MANAGED, "true".to_owned()),
            (tags::IMAGE, "base".to_owned()),
            (tags::RUN, run.to_string()),
            (tags::STATE, "candidate".to_owned()),
            (tags::SOURCE_DIGEST, digest.to_string()),
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
            CloudImage {
                name: record.name.clone(),
                owner: record.owner.clone(),
                created_at: record.created_at.clone(),
                architecture: Some(record.architecture),
                block_devices: record.snapshots.iter().map(device).collect(),
                tags: tags.clone().into(),
                ..assay_aws::cloud::fake::sample_image(record.ami.id.as_str(), &[])
            },
        );
        self.cloud.holdings(&record.ami.region, |held| {
            for id in &record.snapshots {
                let snapshot = EbsSnapshot { id: id.clone(), tags: tags.clone().into(), ..EbsSnapshot::default() };
                held.snapshots.insert(id.clone(), snapshot);
            }
        });
    }

    fn waits(&self, candidate: &Candidate) {
        // What promotions did to the branch meanwhile, such as taking the file away, is where a merge begins.
        self.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
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

    fn ledgering(&self) -> LedgerOptions {
        LedgerOptions {
            config: self.world.path("clone/assay.hcl"),
            git: GitDecl::default(),
            access: AccessSettings::default(),
            open_branch: None,
            reason: None,
            format: OutputFormat::Text,
        }
    }

    async fn promote(&self, to: RunGoal, run: Option<RunId>) -> Result<MovedRun, PromotionError> {
        self.promote_from(self.ledgering(), to, run).await
    }

    async fn promote_from(
        &self,
        ledgering: LedgerOptions,
        to: RunGoal,
        run: Option<RunId>,
    ) -> Result<MovedRun, PromotionError> {
        let request = PromoteRequest { ledgering, images: vec![base()], all: false, to, run };
        let (events, _heard) = EventSender::channel();
        let mut results = promote_with(&request, &self.cloud, &self.environment, &events).await;
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    async fn vet(&self, built: &Built) -> Result<MovedRun, PromotionError> {
        self.promote(RunGoal::Vetted(vec![built.file.clone()]), None).await
    }

    async fn gold(&self) -> Result<MovedRun, PromotionError> {
        self.promote(RunGoal::Gold, None).await
    }

    async fn to_gold(&self, built: &Built) -> MovedRun {
        done(self.vet(built).await);
        done(self.gold().await)
    }

    async fn moved(&self, what: RunMove) -> Result<MovedRun, PromotionError> {
        let ledgering = LedgerOptions { reason: Some("because".to_owned()), ..self.ledgering() };
        let (events, _heard) = EventSender::channel();
        let request = MoveRequest { ledgering, image: base(), what };
        moved_with(&request, &self.cloud, &self.environment, &events).await
    }

    fn images(&self, region_name: &str) -> Vec<CloudImage> {
        self.cloud.images(&region(region_name))
    }

    fn state_tag(&self, record: &AmiRecord) -> String {
        let image = self.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        image.tags[tags::STATE].clone()
    }

    /// How many annotated tags of a state the remote has.
    fn annotated(&self, state: &str) -> usize {
        self.world.git("remote.git", &["tag", "--list", &format!("base/{state}/*")]).lines().count()
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
        outcome: CheckOutcome::Passed,
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
        started_at: context::now().to_string(),
        finished_at: context::now().to_string(),
        suites: vec![suite],
        targets: vec![TargetEvidence {
            verdict: Verdict::Passed,
            host_key: HostKeyPin::Injected,
            checks: vec![check],
            ..TargetEvidence::new(record.ami.to_string(), Some(record.clone()))
        }],
        inventories: Default::default(),
        assay_version: "0.1.0".to_owned(),
        confinement: Vec::new(),
        leftovers: Vec::new(),
    }
}

fn done(result: Result<MovedRun, PromotionError>) -> MovedRun {
    let moved = result.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(moved.missing, [""; 0], "all in place");
    moved
}

fn told(error: &PromotionError) -> String {
    let mut text = assay_model::cause::chain(error);
    if let PromotionError::Refused { refusals, .. } = error {
        refusals.iter().for_each(|refusal| text.push_str(&format!("\n{refusal}")));
    }
    text
}

fn undecided(result: Result<MovedRun, PromotionError>) -> String {
    let error = result.expect_err("must be undecided");
    assert_eq!(error.exit(), ExitStatus::Undecided, "{}", told(&error));
    told(&error)
}

fn refused(result: Result<MovedRun, PromotionError>) -> String {
    let error = result.expect_err("must be refused");
    assert_eq!(error.exit(), ExitStatus::Conflict, "{}", told(&error));
    told(&error)
}

impl Bench {
    fn other_clone(&self) -> PathBuf {
        self.world.git(".", &["clone", "-q", "remote.git", "other"]);
        self.world.path("other/assay.hcl")
    }
}
