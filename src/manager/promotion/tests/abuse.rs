//! What must not become gold: refused by name, with nothing written.

use super::*;

/// Changes one thing of a good run and says what the refusal must say.
type Abuse = (&'static str, Box<dyn Fn(&Bench, &mut Built)>, &'static str);

fn image_of(bench: &Bench, built: &Built, change: impl FnOnce(&mut CloudImage)) {
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
    let ago = |hours: i64| context::now().checked_sub(jiff::Span::new().hours(hours)).expect("a time").to_string();
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
            |_, r| r.evidence.targets[0].checks[0].outcome = CheckOutcome::Failed,
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
                let shard = assay_model::Shard::new(1, 2).expect("a share");
                r.evidence.shard = Some(assay_model::shard::ShardRecord { shard, planned: Vec::new() });
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

/// CircleCI's "Rerun workflow from failed" is a workflow with an id of its own, in the same pipeline, and runs the promotion again but not the validation.
#[tokio::test]
async fn a_rerun_in_the_same_pipeline_goes_on_with_the_evidence_that_is_there() {
    let mut bench = Bench::new();
    let mut built = bench.built(1).await;
    bench.environment.insert("CIRCLE_PIPELINE_ID".to_owned(), "pipeline-1".to_owned());
    bench.environment.insert("CIRCLE_WORKFLOW_ID".to_owned(), "rerun-of-workflow-1".to_owned());
    built.evidence.workflow = assay_ledger::workflow(&bench.environment);
    built.file = bench.hands_over("evidence.json", &built.evidence);
    bench.environment.insert("CIRCLE_PIPELINE_ID".to_owned(), "pipeline-2".to_owned());
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("another workflow (pipeline-1)"), "{words}");
    assert!(words.contains("run the whole workflow again") && words.contains("--sign-with"), "the cure: {words}");
    bench.environment.insert("CIRCLE_PIPELINE_ID".to_owned(), "pipeline-1".to_owned());
    bench.environment.insert("CIRCLE_WORKFLOW_ID".to_owned(), "second-rerun".to_owned());
    done(bench.vet(&built).await);
}

/// What an older version wrote in the same workflow names the workflow, not the pipeline.
#[tokio::test]
async fn evidence_of_an_older_version_in_this_very_workflow_counts() {
    let mut bench = Bench::new();
    let built = bench.built(1).await;
    assert_eq!(built.evidence.workflow.as_deref(), Some("workflow-1"));
    bench.environment.insert("CIRCLE_PIPELINE_ID".to_owned(), "pipeline-1".to_owned());
    done(bench.vet(&built).await);
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
    let words = refused(bench.promote(RunGoal::Vetted(vec![tracked.clone()]), None).await);
    assert!(words.contains("is tracked in git and not signed"), "{words}");
    let link = bench.world.path("reports/link.json");
    std::os::unix::fs::symlink(&tracked, &link).expect("a link");
    let words = refused(bench.promote(RunGoal::Vetted(vec![link]), None).await);
    assert!(words.contains("is tracked in git and not signed"), "{words}");

    bench.environment.insert("CIRCLE_BRANCH".to_owned(), "topic".to_owned());
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("this job builds topic, not the protected branch main"), "{words}");
    for name in ["CIRCLE_BRANCH", "CIRCLE_WORKFLOW_ID"] {
        bench.environment.remove(name);
    }
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("this is not a CI job of the validating pipeline"), "{words}");
}

#[tokio::test]
async fn a_trusted_signature_vouches_wherever_the_evidence_comes_from() {
    use assay_signing::{SigningKey, SigningMethod, sign};
    let key = |name: &str, bench: &Bench| {
        let path = bench.world.path(name);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f"])
            .arg(&path)
            .status()
            .expect("ssh-keygen runs; install it with: apt-get install openssh-client");
        assert!(made.success());
        SigningMethod::Key(SigningKey::read(&path).expect("a key"))
    };
    let signed = async |built: &Built, signer: &SigningMethod| {
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

/// Whoever opens a pull request can write a candidate file; the builder's key is not theirs.
#[tokio::test]
async fn a_candidate_that_no_trusted_builder_signed_becomes_nothing_where_that_is_asked_for() {
    use assay_signing::SigningKey;
    let bench = Bench::with(&format!("promotion {{\n  require_signed_candidate = true\n}}\n{CONFIG}"));
    let key = |name: &str| {
        let path = bench.world.path(name);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&path)
            .status()
            .expect("ssh-keygen runs; install it with: apt-get install openssh-client");
        assert!(made.success());
        SigningKey::read(&path).expect("a key")
    };
    let (builder, stranger) = (key("builder"), key("stranger"));
    let built = bench.built(1).await;
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("there is no file of allowed signers"), "{words}");
    let line = format!("builder namespaces=\"assay-candidate\" {}\n", builder.public_line().expect("a line"));
    bench.world.write("seed/images/allowed_signers", &line);
    bench.commit("trust the builder");
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("is not signed") && words.contains("commit with --sign-with"), "{words}");
    let path = candidate_file::path(&built.candidate);
    let signed = |key: &SigningKey| {
        let text = candidate_file::write(&built.candidate);
        bench.world.write(&format!("seed/{path}.sig"), &key.sign_candidate(text.as_bytes()).expect("signed"));
        bench.commit("signature");
    };
    signed(&stranger);
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("is not among the allowed signers"), "{words}");
    assert_eq!(bench.lock().await.entries.len(), 0);
    signed(&builder);
    done(bench.vet(&built).await);
    // The signature goes with the file that it is over.
    let left = bench.books().await.list("images/base/").await.expect("listed");
    assert_eq!(left, Vec::<String>::new());
    done(bench.gold().await);
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
    let mut lock = assay_ledger::fixtures::lock();
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
