//! Undo and sweep against the fake cloud: isolation, eventual consistency, the wrong account, decoys.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    proof::SweepScope,
    removal::UndoPolicy,
    sweep, undo, {Journal, JournaledKind, reaper},
};
use crate::cloud::{
    Cloud, CloudErrorKind, CloudFactory, RunInstances,
    fake::{FakeCloud, FakeFault},
};
use assay_model::{Region, RunId, tags};

struct Bench {
    cloud: FakeCloud,
    journal: Journal,
    dir: TempDir,
}

fn here() -> Region {
    "us-east-1".parse().expect("a region")
}

fn quick() -> UndoPolicy {
    let ms = Duration::from_millis;
    UndoPolicy { settle: ms(40), pause: ms(1), longest_pause: ms(10), ..UndoPolicy::within(Duration::from_secs(30)) }
}

fn hasty() -> UndoPolicy {
    UndoPolicy { deadline: tokio::time::Instant::now() + Duration::from_millis(100), ..quick() }
}

fn our_tags(run: &RunId, expires_in: i64) -> BTreeMap<String, String> {
    let expires = Timestamp::from_second(Timestamp::now().as_second() + expires_in).expect("a time");
    let own = [
        (tags::MANAGED, "true".to_owned()),
        (tags::RUN, run.to_string()),
        (tags::OWNER, "owner".to_owned()),
        (tags::EXPIRES_AT, expires.to_string()),
    ];
    own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn launch(token: &str, key: &str, group: &str, tags: BTreeMap<String, String>) -> RunInstances {
    RunInstances {
        image: "ami-0abcdef1234567890".parse().expect("an AMI"),
        instance_type: "t3.small".to_owned(),
        client_token: token.to_owned(),
        key_name: key.to_owned(),
        security_group_ids: vec![group.to_owned()],
        subnet_id: None,
        associate_public_ip_address: None,
        iam_instance_profile: None,
        user_data: Vec::new(),
        delete_on_termination: Vec::new(),
        spot_price: None,
        tags,
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let account = "123456789012".parse().expect("an account");
        let journal = Journal::create(dir.path(), RunId::generate(), Some(account)).expect("a journal");
        Self { cloud: FakeCloud::new(), journal, dir }
    }

    /// Key pair, group and instance as a launch makes them.
    async fn build(&self) {
        let cloud = self.cloud.region(&here());
        let all = our_tags(&self.journal.header().run, 3600);
        let key = self.journal.intend(JournaledKind::KeyPair, &here()).expect("line");
        cloud.import_key_pair(&key.name, "ssh-ed25519 A", &all).await.expect("made");
        self.journal.created(key.number, &key.name).expect("line");
        let group = self.journal.intend(JournaledKind::SecurityGroup, &here()).expect("line");
        let group_id = cloud.create_security_group(&group.name, None, &all).await.expect("made");
        self.journal.created(group.number, &group_id).expect("line");
        let step = self.journal.intend(JournaledKind::Instance, &here()).expect("line");
        let made = cloud.run_instance(&launch(&step.name, &key.name, &group_id, all)).await.expect("made");
        self.journal.created(step.number, &made.id).expect("line");
    }

    fn region(&self) -> std::sync::Arc<dyn Cloud> {
        self.cloud.region(&here())
    }
}

#[tokio::test]
async fn a_panic_or_an_error_in_one_removal_never_skips_the_others() {
    let actions = ["DeleteKeyPair", "TerminateInstances", "DeleteSecurityGroup", "DescribeKeyPairs"];
    for action in actions {
        let bench = Bench::new();
        bench.build().await;
        bench.cloud.fault(action, FakeFault::Panic);
        // Longer than a backtrace takes on a loaded machine.
        let policy = UndoPolicy { deadline: tokio::time::Instant::now() + Duration::from_secs(3), ..quick() };
        let left = undo(&bench.cloud, &bench.journal, policy).await;
        assert!(!left.is_empty(), "{action}: a panic is not a removal");
        for called in ["DeleteKeyPair", "TerminateInstances", "DeleteSecurityGroup"] {
            assert!(bench.cloud.count(called) > 0, "{action}: {called} was not tried");
        }
        let cure = format!("assay sweep --run {} --yes", bench.journal.header().run);
        assert!(left.iter().all(|item| item.cure == cure && !item.reason.is_empty()), "{left:?}");
        // Nothing left the journal, so the next undo finishes the work.
        assert_eq!(undo(&bench.cloud, &bench.journal, quick()).await, [], "{action}");
        assert_eq!(bench.cloud.left(), [""; 0], "{action}");
    }
}

#[tokio::test]
async fn not_found_right_after_the_launch_is_not_gone() {
    let bench = Bench::new();
    bench.cloud.invisible_for(5);
    bench.build().await;
    let slow = UndoPolicy { settle: Duration::from_secs(20), ..quick() };
    assert_eq!(undo(&bench.cloud, &bench.journal, slow).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

#[tokio::test]
async fn what_stays_invisible_until_the_deadline_is_reported_and_stays_on_record() {
    let bench = Bench::new();
    bench.cloud.invisible_for(100_000);
    bench.build().await;
    let policy = UndoPolicy { settle: Duration::from_secs(20), ..hasty() };
    let left = undo(&bench.cloud, &bench.journal, policy).await;
    assert!(left.iter().any(|item| item.kind == "instance" && item.reason.contains("too young")), "{left:?}");
    assert!(bench.journal.open_steps().iter().any(|step| step.kind == JournaledKind::Instance));
}

#[tokio::test]
async fn a_group_in_use_is_tried_until_its_instance_has_ended() {
    let bench = Bench::new();
    bench.cloud.takes(0, 8);
    bench.build().await;
    for _ in 0..5 {
        bench.cloud.fault("DeleteSecurityGroup", FakeFault::Refuse(CloudErrorKind::InUse));
    }
    assert_eq!(undo(&bench.cloud, &bench.journal, quick()).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

#[tokio::test]
async fn a_missing_permission_ends_early_and_says_so() {
    let bench = Bench::new();
    bench.build().await;
    for _ in 0..50 {
        bench.cloud.fault("TerminateInstances", FakeFault::Refuse(CloudErrorKind::Denied));
    }
    let left = undo(&bench.cloud, &bench.journal, hasty()).await;
    let instance = left.iter().find(|item| item.kind == "instance").expect("left");
    assert!(instance.reason.contains("TerminateInstances") && instance.id.starts_with("i-"), "{instance:?}");
    // At most three tries for the step and three for the catch-all.
    assert!(bench.cloud.count("TerminateInstances") <= 6);
}

#[tokio::test]
async fn credentials_of_another_account_remove_nothing_and_say_so() {
    let bench = Bench::new();
    bench.build().await;
    bench.cloud.set_account("999999999999".parse().expect("an account"));
    let left = undo(&bench.cloud, &bench.journal, quick()).await;
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|item| item.reason.contains("999999999999")), "{left:?}");
    assert_eq!(bench.journal.open_steps().len(), 3);
}

#[tokio::test]
async fn the_reaper_finishes_what_a_torn_journal_holds() {
    let bench = Bench::new();
    bench.build().await;
    let path = bench.journal.dir().join("journal.jsonl");
    let bytes = std::fs::read(&path).expect("reads");
    // Killed while the instance's id was being written: its intent stands, its id is lost.
    std::fs::write(&path, &bytes[..bytes.len() - 9]).expect("writes");
    assert_eq!(reaper::reap(&bench.cloud, bench.journal.dir(), quick()).await.expect("a record"), []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    let again = Journal::reopen(bench.journal.dir()).expect("reads");
    assert!(again.open_steps().is_empty());
    assert_eq!(reaper::reap(&bench.cloud, bench.journal.dir(), quick()).await.expect("a record"), []);
}

#[tokio::test]
async fn an_instance_whose_line_was_damaged_is_found_by_its_tags_and_token() {
    let bench = Bench::new();
    bench.build().await;
    let path = bench.journal.dir().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).expect("reads");
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("\"instance\"")).collect();
    std::fs::write(&path, kept.join("\n") + "\n").expect("writes");
    assert_eq!(reaper::reap(&bench.cloud, bench.journal.dir(), quick()).await.expect("a record"), []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    drop(bench.dir);
}

fn by_run(run: RunId) -> SweepScope {
    SweepScope { run: Some(run), owner: None, named: true, older_than: None }
}

/// Puts things beside ours that a careless sweep would take.
async fn place_decoys(bench: &Bench) -> usize {
    let cloud = bench.region();
    let run = bench.journal.header().run;
    let ours = our_tags(&run, -7000);
    let other_run = our_tags(&RunId::generate(), 3600);
    cloud.import_key_pair("deploy", "k", &ours).await.expect("made");
    let group = cloud.create_security_group("web", None, &ours).await.expect("made");
    cloud.run_instance(&launch("somebody", "deploy", &group, ours)).await.expect("made");
    cloud.run_instance(&launch("untagged", "deploy", &group, BTreeMap::new())).await.expect("made");
    let prefix = run.resource_prefix();
    cloud.import_key_pair(&format!("{prefix}-x-1"), "k", &other_run).await.expect("made");
    bench.cloud.left().len()
}

#[tokio::test]
async fn a_sweep_takes_the_runs_and_nothing_else() {
    let bench = Bench::new();
    let decoys = place_decoys(&bench).await;
    bench.build().await;
    let scope = by_run(bench.journal.header().run);
    let plan = sweep::plan(&bench.cloud, &[here()], &scope).await;
    assert_eq!(plan.removals().count(), 3, "{plan:?}");
    assert_eq!(bench.cloud.count("TerminateInstances"), 0, "a plan removes nothing");
    assert_eq!(sweep::execute(&bench.cloud, &plan, &scope, quick(), &CancellationToken::new()).await, []);
    assert_eq!(bench.cloud.left().len(), decoys, "{:?}", bench.cloud.left());
    let again = sweep::plan(&bench.cloud, &[here()], &scope).await;
    assert_eq!(again.removals().count(), 0);
}

#[tokio::test]
async fn a_cancelled_sweep_begins_nothing_more_and_names_what_stays() {
    let bench = Bench::new();
    bench.build().await;
    let scope = by_run(bench.journal.header().run);
    let plan = sweep::plan(&bench.cloud, &[here()], &scope).await;
    // An instance that takes long to end, and a group that waits for it.
    bench.cloud.takes(0, 100_000);
    let cancel = CancellationToken::new();
    let hearing = cancel.clone();
    bench.cloud.on_call(move |action, _| {
        if action == "TerminateInstances" {
            hearing.cancel();
        }
    });
    let began = std::time::Instant::now();
    let left = sweep::execute(&bench.cloud, &plan, &scope, quick(), &cancel).await;
    assert!(began.elapsed() < Duration::from_secs(20), "it ends soon");
    let group = left.iter().find(|item| item.kind == "security-group").expect("it stays");
    assert!(group.reason.contains("was cancelled before"), "{group:?}");
    assert_eq!((bench.cloud.count("TerminateInstances"), bench.cloud.count("DeleteSecurityGroup")), (1, 0));
    let calls = bench.cloud.calls().len();
    let left = sweep::execute(&bench.cloud, &plan, &scope, quick(), &cancel).await;
    assert_eq!((left.len(), bench.cloud.calls().len()), (3, calls), "nothing is even asked");
}

#[tokio::test]
async fn refusals_that_are_not_in_a_row_do_not_end_a_removal() {
    let bench = Bench::new();
    bench.build().await;
    for fault in [CloudErrorKind::Denied, CloudErrorKind::Denied, CloudErrorKind::Unknown, CloudErrorKind::Denied] {
        bench.cloud.fault("DeleteKeyPair", FakeFault::Refuse(fault));
    }
    for _ in 0..20 {
        bench.cloud.fault("TerminateInstances", FakeFault::Refuse(CloudErrorKind::NoCredentialsYet));
    }
    assert_eq!(undo(&bench.cloud, &bench.journal, quick()).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

/// Whose credentials these are is not known, and what is not found may be another account's.
#[tokio::test]
async fn nothing_counts_as_gone_where_the_account_cannot_be_learned() {
    let bench = Bench::new();
    bench.build().await;
    bench.cloud.fail_caller(3);
    let here = here();
    let stock = bench.cloud.edit(&here, std::mem::take);
    let left = undo(&bench.cloud, &bench.journal, hasty()).await;
    let kinds: Vec<&str> = left.iter().map(|item| item.kind.as_str()).collect();
    assert_eq!(kinds, ["key-pair", "instance", "security-group"]);
    assert!(left.iter().all(|item| item.reason.contains("nobody knows whether")), "{left:?}");
    bench.cloud.edit(&here, |empty| *empty = stock);
    assert_eq!(undo(&bench.cloud, &bench.journal, quick()).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

/// Metal types shut down for longer than the whole patience.
#[tokio::test]
async fn a_group_gets_time_after_an_instance_that_took_all_of_it() {
    let bench = Bench::new();
    bench.build().await;
    // Looking at the instance takes what there is of time, and its network interface holds the group for a while.
    bench.cloud.on_call(|action, _| {
        if matches!(action, "DescribeInstances" | "DeleteSecurityGroup") {
            std::thread::sleep(Duration::from_millis(600));
        }
    });
    for _ in 0..2 {
        bench.cloud.fault("DeleteSecurityGroup", FakeFault::Refuse(CloudErrorKind::InUse));
    }
    let policy = UndoPolicy { deadline: tokio::time::Instant::now() + Duration::from_secs(2), ..quick() };
    assert_eq!(undo(&bench.cloud, &bench.journal, policy).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

#[tokio::test]
async fn what_damaged_lines_told_of_is_found_by_names_and_tags() {
    for lost in ["\"key-pair\"", "\"security-group\""] {
        let bench = Bench::new();
        bench.build().await;
        let path = bench.journal.dir().join("journal.jsonl");
        let text = std::fs::read_to_string(&path).expect("reads");
        let kept: Vec<&str> =
            text.lines().map(|line| if line.contains(lost) { "{\"event\":\"int" } else { line }).collect();
        std::fs::write(&path, kept.join("\n") + "\n").expect("writes");
        let decoys = place_decoys(&bench).await - bench_size(&bench).await;
        assert_eq!(reaper::reap(&bench.cloud, bench.journal.dir(), quick()).await.expect("a record"), []);
        assert_eq!(bench.cloud.left().len(), decoys, "{lost}: {:?}", bench.cloud.left());
    }
}

/// How many things [`Bench::build`] made, its volume included.
async fn bench_size(bench: &Bench) -> usize {
    let prefix = bench.journal.names().prefix().to_owned();
    let stock = bench.cloud.edit(&here(), |stock| stock.clone());
    let keys = stock.keys.keys().filter(|name| name.starts_with(&prefix)).count();
    let groups = stock.groups.values().filter(|(name, _, _)| name.starts_with(&prefix)).count();
    let ours = |token: &Option<String>| token.as_ref().is_some_and(|token| token.starts_with(&prefix));
    let instances = stock.instances.values().filter(|i| ours(&i.told.client_token)).count();
    keys + groups + instances * 2
}

#[tokio::test]
async fn tags_that_change_between_plan_and_removal_stop_it() {
    let bench = Bench::new();
    bench.build().await;
    let scope = by_run(bench.journal.header().run);
    let plan = sweep::plan(&bench.cloud, &[here()], &scope).await;
    bench.cloud.edit(&here(), |stock| {
        stock.instances.values_mut().for_each(|i| drop(i.told.tags.remove(tags::MANAGED)));
        stock.keys.values_mut().for_each(|tags| tags.clear());
        stock.groups.values_mut().for_each(|(_, tags, _)| drop(tags.insert(tags::RUN.into(), "other".into())));
    });
    let before = bench.cloud.left();
    let left = sweep::execute(&bench.cloud, &plan, &scope, quick(), &CancellationToken::new()).await;
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|item| item.reason.contains("its tags changed")), "{left:?}");
    assert_eq!(bench.cloud.left(), before);
}

#[tokio::test]
async fn a_sweep_clears_what_a_killed_packer_left_once_it_expired() {
    for (expires_in, swept) in [(-7000, true), (3600, false)] {
        let bench = Bench::new();
        let cloud = bench.region();
        let mut run_tags = our_tags(&RunId::generate(), expires_in);
        run_tags.remove(tags::RUN);
        run_tags.insert(tags::STATE.to_owned(), "building".to_owned());
        let seconds = Timestamp::now().as_second() - 60;
        let name = format!("packer_{seconds:08x}-1a2b-3c4d-5e6f-0123456789ab");
        cloud.import_key_pair(&name, "k", &run_tags).await.expect("made");
        let group = cloud.create_security_group(&name, None, &run_tags).await.expect("made");
        cloud.run_instance(&launch("sdk-token", &name, &group, run_tags)).await.expect("made");
        let scope = SweepScope { run: None, owner: Some("owner".to_owned()), named: false, older_than: None };
        let plan = sweep::plan(&bench.cloud, &[here()], &scope).await;
        assert_eq!(plan.removals().count(), if swept { 3 } else { 0 }, "{plan:?}");
        assert_eq!(sweep::execute(&bench.cloud, &plan, &scope, quick(), &CancellationToken::new()).await, []);
        assert_eq!(bench.cloud.left().is_empty(), swept);
    }
}

#[tokio::test]
async fn a_volume_alone_is_shown_but_never_taken() {
    let bench = Bench::new();
    let run = bench.journal.header().run;
    bench.cloud.edit(&here(), |stock| drop(stock.volumes.insert("vol-1".to_owned(), our_tags(&run, -7000))));
    let plan = sweep::plan(&bench.cloud, &[here()], &by_run(run)).await;
    assert_eq!((plan.items.len(), plan.removals().count()), (1, 0));
}

#[tokio::test]
async fn a_region_that_cannot_be_seen_is_an_error_not_emptiness() {
    let bench = Bench::new();
    bench.cloud.fault("DescribeInstances", FakeFault::Refuse(CloudErrorKind::Denied));
    let plan = sweep::plan(&bench.cloud, &[here()], &by_run(RunId::generate())).await;
    assert_eq!(plan.errors.len(), 1);
}
