//! What anybody whose pull request is merged, or who may push a tag, can put there: it stops nobody, least of all a revocation.

use super::*;
use crate::manager::{plan, status};
use assay_config::{
    file,
    image_requests::{PlanRequest, StatusRequest},
};
use assay_model::lock::LockEntry;

impl Bench {
    fn adds(&self, path: &str, text: &str) {
        self.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
        let file = self.world.path("seed").join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, text).expect("written");
        self.commit(path);
    }

    pub(super) async fn planned(&self) -> plan::BuildPlan {
        self.world.git("clone", &["pull", "-q"]);
        let path = self.world.path("clone/assay.hcl");
        let file = file::read(&path, std::path::Path::new("assay.hcl"), &mut Vec::new()).expect("a file");
        let request = PlanRequest { file, images: Vec::new(), force: Vec::new(), max_age: None, fetch: true };
        let planned = plan::plan(&request, &self.environment, context::now()).await;
        planned.unwrap_or_else(|error| panic!("{}", assay_model::cause::chain(&error)))
    }
}

#[tokio::test]
async fn junk_in_images_and_foreign_tags_stop_no_move() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.adds("images/base/candidates/notes.hcl", "junk\n");
    bench.adds("images/base/candidates/01KAQ3B6G0R8ZJ5Q2X7V9N4M99.hcl", "<<<<<<< HEAD\n");
    bench.adds("images/zzz.lock.hcl", "junk\n");
    let day = context::now().strftime("%Y%m%d").to_string();
    for state in ["vetted", "gold", "revoked"] {
        bench.world.git("remote.git", &["tag", &format!("base/{state}/{day}-{}", run(1)), "main"]);
    }
    bench.world.git("remote.git", &["tag", "base/retired", "main"]);

    let vetted = done(bench.vet(&first).await);
    assert!(vetted.notes[0].contains(&format!("base/vetted/{day}-{} exists", run(1))), "{:?}", vetted.notes);
    assert_eq!(vetted.written.tags, [format!("base/vetted/{day}-{}-2", run(1))]);
    done(bench.gold().await);
    bench.to_gold(&second).await;
    let revoked = done(bench.moved(RunMove::Revoke { run: run(1), at: None, force: false }).await);
    assert_eq!(revoked.state, ImageState::Revoked);
    assert_eq!(bench.lock().await.state_of(run(1)), Some(ImageState::Revoked));
    let words = refused(bench.moved(RunMove::Reject { run: run(99), release: false }).await);
    assert!(words.contains("N4M99.hcl:1: "), "its own file is the one that counts: {words}");
}

#[tokio::test]
async fn junk_costs_a_plan_a_note_and_a_broken_lock_its_image_alone() {
    let config = format!(
        "{CONFIG}image \"app\" {{\n  inputs = [\"packer/**\"]\n  parent = \"base\"\n}}\nimage \"tools\" {{\n  inputs = [\"suites/**\"]\n}}\n"
    );
    let bench = Bench::with(&config);
    bench.built(1).await;
    bench.adds("images/base/candidates/notes.hcl", "junk\n");
    let plan = bench.planned().await;
    assert!(plan.notes.iter().any(|note| note.starts_with("images/base/candidates/notes.hcl:1: ")), "{:?}", plan.notes);
    let of = |plan: &plan::BuildPlan, name: &str| {
        let found = plan.images.iter().find(|decision| decision.image.as_str() == name).expect(name);
        (found.due, found.reasons[0].name())
    };
    assert_eq!(of(&plan, "base"), (false, "candidate-exists"));

    bench.adds("images/base.lock.hcl", "junk\n");
    let plan = bench.planned().await;
    assert_eq!(of(&plan, "base"), (false, "lock-unreadable"), "nothing is built of which nothing is known");
    assert!(plan.images[0].reasons[0].to_string().contains("images/base.lock.hcl:1: "), "{:?}", plan.images[0].reasons);
    assert_eq!(of(&plan, "tools"), (true, "never-built"));
    assert!(!of(&plan, "app").0, "its parent is not known");
    assert_eq!(plan.exit(), ExitStatus::Failed);
}

impl Bench {
    async fn repaired(&self) -> status::RegistryStatus {
        self.world.git("clone", &["pull", "-q"]);
        let path = self.world.path("clone/assay.hcl");
        let file = file::read(&path, std::path::Path::new("assay.hcl"), &mut Vec::new()).expect("a file");
        let plan = PlanRequest { file, images: Vec::new(), force: Vec::new(), max_age: None, fetch: true };
        let request = StatusRequest {
            plan,
            regions: Vec::new(),
            access: AccessSettings::default(),
            owner: Some("acme".to_owned()),
            repair: true,
        };
        let (events, _heard) = EventSender::channel();
        let pauses = [std::time::Duration::ZERO];
        let status = status::status_with(&request, &self.cloud, &self.environment, &pauses, &events).await;
        status.unwrap_or_else(|error| panic!("{}", assay_model::cause::chain(&error)))
    }
}

#[tokio::test]
async fn a_repair_does_not_promote_what_a_lock_written_by_hand_names() {
    let bench = Bench::new();
    let (honest, planted) = (bench.built(1).await, bench.built(2).await);
    bench.adds(&format!("images/evidence/base/{}.json", run(1)), "smoke");
    bench.to_gold(&honest).await;
    let record = &honest.candidate.amis[0].record;
    let mut image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    image.tags.insert(tags::STATE.to_owned(), "candidate".to_owned());
    bench.cloud.add_image(&record.ami.region, image);
    let mended = bench.repaired().await.mended.expect("a repair");
    assert_eq!((bench.state_tag(record).as_str(), mended.failed), ("gold", Vec::new()), "its evidence is there");

    let mut lock = bench.lock().await;
    let entry = |state, candidate| LockEntry {
        run: run(2),
        state,
        by: "nobody".to_owned(),
        at: context::now().to_string(),
        reason: "trust me".to_owned(),
        evidence: (state == ImageState::Vetted).then(|| Digest::of(b"nothing")),
        effective_at: None,
        previous: None,
        candidate,
        copies: Vec::new(),
    };
    let retired = LockEntry { run: run(1), ..entry(ImageState::Retired, None) };
    for one in [entry(ImageState::Vetted, Some(planted.candidate.clone())), retired, entry(ImageState::Gold, None)] {
        lock_file::append(&mut lock, one);
    }
    lock.gold = Some(run(2));
    bench.adds("images/base.lock.hcl", &lock_file::write(&lock));
    let status = bench.repaired().await;
    let record = &planted.candidate.amis[0].record;
    assert_eq!(bench.state_tag(record), "candidate");
    let failed = status.mended.as_ref().expect("a repair").failed.join("\n");
    assert!(failed.contains(&run(2).to_string()) && failed.contains("does not verify"), "{failed}");
    assert_eq!(status.exit(), ExitStatus::Failed);
    bench.cloud.holdings(&record.ami.region, |held| {
        assert_ne!(held.parameters["/images/base/x86_64"], record.ami.id.as_str(), "nor is it pointed to");
    });
}

#[tokio::test]
async fn a_repair_from_a_mirror_or_a_clone_that_is_behind_changes_nothing() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    done(bench.vet(&second).await);
    bench.world.git(".", &["clone", "-q", "--mirror", "remote.git", "mirror.git"]);
    let mut elsewhere = bench.environment.clone();
    elsewhere.insert("CIRCLE_BUILD_URL".to_owned(), "https://ci.example/promote/8".to_owned());
    let ledgering = bench.ledgering();
    let request = PromoteRequest { ledgering, images: vec![base()], all: false, to: RunGoal::Gold, run: None };
    let (events, _heard) = EventSender::channel();
    for result in promote_with(&request, &bench.cloud, &elsewhere, &events).await {
        done(result);
    }
    let gold = &second.candidate.amis[0].record;
    assert_eq!(bench.state_tag(gold), "gold");

    let primary = bench.world.path("remote.git").display().to_string();
    let mirror = bench.world.path("mirror.git").display().to_string();
    bench.world.git("clone", &["remote", "set-url", "origin", &mirror]);
    for push in [&primary, &mirror] {
        bench.world.git("clone", &["remote", "set-url", "--push", "origin", push]);
        let mended = bench.repaired().await.mended.expect("a repair");
        assert_eq!(mended.done, Vec::<String>::new(), "{push}");
        assert!(mended.failed.iter().any(|why| why.contains("may be older")), "{push}: {:?}", mended.failed);
    }
    assert_eq!(bench.tagged_gold(), [run(2).to_string()]);
    bench.world.git("clone", &["remote", "set-url", "origin", &primary]);
    let mended = bench.repaired().await.mended.expect("a repair");
    assert_eq!((mended.done, mended.failed), (Vec::new(), Vec::new()));
}
