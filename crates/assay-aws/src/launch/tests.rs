//! The launch against the fake cloud: the green path, and every creating call with every fault, after which nothing may be left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{patience::PollPace, *};
use crate::{
    cloud::{
        BlockDevice, CloudErrorKind, CloudImage,
        fake::{FakeCloud, FakeFault},
    },
    journal::{Journal, JournalDisk, JournaledKind, UndoPolicy},
};
use assay_config::{LaunchSettings, SshInterface, SshSettings};
use assay_model::{AmiRef, Architecture, BootOptions, Region, TargetId, UndecidedKind, evidence::Leftover, tags};

const CREATING: [&str; 4] = ["ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"];

pub(crate) fn region(name: &str) -> Region {
    name.parse().expect("a region")
}

pub(crate) fn image(number: u32) -> CloudImage {
    CloudImage {
        id: format!("ami-{number:017x}").parse().expect("an AMI id"),
        name: "base".to_owned(),
        owner: "123456789012".parse().expect("an account"),
        created_at: "2026-11-22T00:00:00Z".to_owned(),
        state: "available".to_owned(),
        architecture: Some(Architecture::X86_64),
        root_device_name: Some("/dev/xvda".to_owned()),
        block_devices: ["/dev/xvda", "/dev/xvdb"]
            .iter()
            .enumerate()
            .map(|(index, name)| BlockDevice {
                device_name: (*name).to_owned(),
                snapshot: None,
                delete_on_termination: index == 0,
            })
            .collect(),
        tags: Default::default(),
        deregistration_protected: false,
        platform: None,
        imds_support: None,
        boot_mode: None,
        attributes: Default::default(),
    }
}

/// AMI `number` of `region`, to be launched as the settings say.
pub(super) fn target(name: &str, number: u32) -> (TargetId, CloudImage) {
    let image = image(number);
    (AmiRef { region: region(name), id: image.id.clone() }.into(), image)
}

pub(super) struct Bench {
    pub(super) cloud: FakeCloud,
    pub(super) journal: Arc<Journal>,
    pub(super) cancel: CancellationToken,
    pub(super) order: FleetOrder,
    dir: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let run = assay_model::RunId::generate();
        let journal = Arc::new(Journal::create(dir.path(), run, None).expect("a journal"));
        let order = FleetOrder {
            run,
            image: Some("base".parse().expect("a name")),
            provenance: Default::default(),
            launch: LaunchSettings::default(),
            ssh: SshSettings { timeout: Duration::from_secs(60), ..SshSettings::default() },
        };
        Self { cloud: FakeCloud::new(), journal, cancel: CancellationToken::new(), order, dir }
    }

    pub(super) async fn fleet(&self) -> Arc<Fleet> {
        let clouds = Arc::new(self.cloud.clone());
        let fleet =
            Fleet::prepare_at(fast(), clouds, self.journal.clone(), self.order.clone(), self.cancel.clone()).await;
        fleet.expect("prepared")
    }

    /// Launches one AMI in each region and takes what comes out.
    pub(super) async fn launch(&self, fleet: &Arc<Fleet>, regions: &[&str]) -> Vec<LaunchedTarget> {
        let images = regions.iter().zip(1..).map(|(name, number)| target(name, number)).collect();
        let mut receiver = fleet.launch(images);
        let mut all = Vec::new();
        while let Some(target) = receiver.recv().await {
            all.push(target);
        }
        all
    }

    pub(super) async fn release(&self, fleet: &Fleet) -> Vec<Leftover> {
        fleet.release(quick()).await
    }
}

/// A thousandth of the real pace.
fn fast() -> PollPace {
    let ms = Duration::from_millis;
    PollPace {
        visibility: ms(100),
        first_pause: ms(1),
        longest_pause: ms(8),
        first_look: ms(1),
        longest_look: ms(2),
        longest_throttled: ms(15),
    }
}

/// Patient, but quick to look again.
fn quick() -> UndoPolicy {
    let ms = Duration::from_millis;
    UndoPolicy { settle: ms(50), pause: ms(1), longest_pause: ms(10), ..UndoPolicy::within(Duration::from_secs(60)) }
}

pub(super) fn kind_of(target: &LaunchedTarget) -> UndecidedKind {
    target.instance.as_ref().expect_err("undecided").kind
}

#[tokio::test]
async fn three_regions_come_up_and_leave_nothing() {
    let bench = Bench::new();
    bench.cloud.takes(2, 2);
    bench.cloud.invisible_for(2);
    let fleet = bench.fleet().await;
    let targets = bench.launch(&fleet, &["us-east-1", "eu-west-1", "ap-southeast-1"]).await;
    assert_eq!(targets.len(), 3);
    for target in &targets {
        let instance = target.instance.as_ref().expect("running");
        assert!(instance.address.starts_with("198.51.100."), "{instance:?}");
        assert!(instance.host_key.as_deref().is_some_and(|key| key.starts_with("ssh-ed25519 ")));
        assert_eq!(target.phases.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["launch", "running"]);
    }
    let host_keys: BTreeSet<&Option<String>> =
        targets.iter().map(|t| &t.instance.as_ref().expect("running").host_key).collect();
    assert_eq!(host_keys.len(), 3, "one host key per instance");
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    assert!(bench.journal.open_steps().is_empty());
    assert!(!bench.cancel.is_cancelled(), "a release is no cancellation of the run");
}

#[tokio::test]
async fn everything_is_tagged_in_its_creating_call_and_admits_only_us() {
    let bench = Bench::new();
    let fleet = bench.fleet().await;
    bench.launch(&fleet, &["us-east-1"]).await;
    bench.cloud.edit(&region("us-east-1"), |stock| {
        let all = stock.keys.values().chain(stock.volumes.values());
        let all = all.chain(stock.groups.values().map(|(_, tags, _)| tags));
        for has in all.chain(stock.instances.values().map(|i| &i.told.tags)) {
            assert_eq!(has.get(tags::MANAGED).map(String::as_str), Some("true"));
            assert_eq!(has.get(tags::RUN), Some(&bench.order.run.to_string()));
            assert!(has[tags::EXPIRES_AT].parse::<jiff::Timestamp>().expect("a time") > jiff::Timestamp::now());
        }
        let (_, _, rules) = stock.groups.values().next().expect("a group");
        assert_eq!(rules, &[(22, "203.0.113.9/32".to_owned())]);
        let request = &stock.instances.values().next().expect("an instance").request;
        assert_eq!(request.delete_on_termination, ["/dev/xvdb"]);
        assert!(request.client_token.starts_with(&bench.order.run.resource_prefix()));
    });
    assert_eq!(bench.release(&fleet).await, []);
}

/// A file that knows how much of it would survive a power cut.
struct WatchedDisk {
    file: std::fs::File,
    written: usize,
    durable: Arc<AtomicUsize>,
}

impl std::io::Write for WatchedDisk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count;
        Ok(count)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl JournalDisk for WatchedDisk {
    fn sync(&mut self) -> std::io::Result<()> {
        self.durable.store(self.written, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn the_intent_is_on_the_disk_when_the_creating_call_is_made() {
    let mut bench = Bench::new();
    let durable = Arc::new(AtomicUsize::new(0));
    let watched = durable.clone();
    let disk = |file| -> Box<dyn JournalDisk> { Box::new(WatchedDisk { file, written: 0, durable: watched }) };
    let root = bench.dir.path();
    bench.journal = Arc::new(Journal::create_on(root, bench.order.run, None, disk).expect("a journal"));
    let file = bench.journal.dir().join("journal.jsonl");
    let missing = Arc::new(Mutex::new(Vec::new()));
    let seen = missing.clone();
    bench.cloud.on_call(move |action, subject| {
        let named = matches!(action, "ImportKeyPair" | "CreateSecurityGroup" | "RunInstances");
        let bytes = std::fs::read(&file).expect("the journal");
        let survives = String::from_utf8_lossy(&bytes[..durable.load(Ordering::SeqCst)]).into_owned();
        let intent = |line: &str| line.contains("\"event\":\"intent\"") && line.contains(&format!("\"{subject}\""));
        if named && !survives.lines().any(intent) {
            seen.lock().expect("lock").push(format!("{action} {subject}"));
        }
    });
    let fleet = bench.fleet().await;
    bench.launch(&fleet, &["us-east-1", "eu-west-1"]).await;
    assert_eq!(bench.cloud.count("RunInstances"), 2);
    assert_eq!(*missing.lock().expect("lock"), [""; 0]);
    assert_eq!(bench.release(&fleet).await, []);
}

#[tokio::test]
async fn every_creating_call_may_fail_and_nothing_is_left() {
    let faults = [
        FakeFault::Refuse(CloudErrorKind::Denied),
        FakeFault::Refuse(CloudErrorKind::NoCapacity),
        FakeFault::Refuse(CloudErrorKind::Throttled),
        FakeFault::LoseAnswer,
        FakeFault::Drop,
    ];
    for action in CREATING {
        for fault in faults {
            let bench = Bench::new();
            bench.cloud.fault(action, fault);
            bench.cloud.takes(1, 1);
            let fleet = bench.fleet().await;
            let targets = bench.launch(&fleet, &["us-east-1"]).await;
            assert_eq!(targets.len(), 1, "{action} {fault:?}");
            let passes =
                matches!(fault, FakeFault::LoseAnswer | FakeFault::Drop | FakeFault::Refuse(CloudErrorKind::Throttled));
            assert_eq!(targets[0].instance.is_ok(), passes, "{action} {fault:?}: {:?}", targets[0].instance);
            assert!(bench.cloud.edit(&region("us-east-1"), |s| s.instances.len()) <= 1, "{action} {fault:?}");
            for undo in 1..=2 {
                assert_eq!(bench.release(&fleet).await, [], "{action} {fault:?} undo {undo}");
                assert_eq!(bench.cloud.left(), [""; 0], "{action} {fault:?} undo {undo}");
            }
        }
    }
}

#[tokio::test]
async fn answers_lost_until_the_deadline_are_looked_up() {
    for action in CREATING {
        let mut bench = Bench::new();
        bench.order.ssh.timeout = Duration::from_millis(300);
        for _ in 0..1000 {
            bench.cloud.fault(action, FakeFault::LoseAnswer);
        }
        bench.cloud.takes(1, 1);
        bench.cloud.invisible_for(3);
        let fleet = bench.fleet().await;
        let targets = bench.launch(&fleet, &["us-east-1"]).await;
        if action == "RunInstances" {
            assert_eq!(kind_of(&targets[0]), UndecidedKind::Cloud);
            assert_eq!(bench.cloud.edit(&region("us-east-1"), |s| s.instances.len()), 1);
        }
        assert_eq!(bench.release(&fleet).await, [], "{action}");
        assert_eq!(bench.cloud.left(), [""; 0], "{action}");
    }
}

#[tokio::test]
async fn cancelled_at_any_call_nothing_is_left() {
    for action in ["ImportKeyPair", "CreateSecurityGroup", "RunInstances", "DescribeInstances", "DescribeVpcs"] {
        let bench = Bench::new();
        bench.cloud.takes(3, 1);
        let cancel = bench.cancel.clone();
        bench.cloud.on_call(move |called, _| {
            if called == action {
                cancel.cancel();
            }
        });
        let fleet = bench.fleet().await;
        let targets = bench.launch(&fleet, &["us-east-1", "eu-west-1"]).await;
        assert_eq!(targets.len(), 2, "{action}");
        for target in &targets {
            assert_eq!(kind_of(target), UndecidedKind::Cancelled, "{action}");
        }
        assert_eq!(bench.release(&fleet).await, [], "{action}");
        assert_eq!(bench.cloud.left(), [""; 0], "{action}");
    }
}

#[tokio::test]
async fn release_waits_for_calls_under_way() {
    let bench = Bench::new();
    let fleet = bench.fleet().await;
    let receiver = fleet.launch(vec![target("us-east-1", 1)]);
    // Nobody takes anything out, and the launch has only begun.
    tokio::task::yield_now().await;
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    drop(receiver);
}

#[tokio::test]
async fn throttled_looks_are_never_fatal() {
    let bench = Bench::new();
    for _ in 0..6 {
        bench.cloud.fault("DescribeInstances", FakeFault::Refuse(CloudErrorKind::Throttled));
    }
    let fleet = bench.fleet().await;
    let targets = bench.launch(&fleet, &["us-east-1"]).await;
    assert!(targets[0].instance.is_ok(), "{:?}", targets[0].instance);
    for _ in 0..20 {
        bench.cloud.fault("DescribeInstances", FakeFault::Refuse(CloudErrorKind::Throttled));
        bench.cloud.fault("TerminateInstances", FakeFault::Refuse(CloudErrorKind::Throttled));
    }
    assert_eq!(bench.release(&fleet).await, []);
}

#[tokio::test]
async fn throttled_past_the_deadline_is_undecided_throttled() {
    let mut bench = Bench::new();
    bench.order.ssh.timeout = Duration::from_millis(300);
    for _ in 0..1000 {
        bench.cloud.fault("DescribeInstances", FakeFault::Refuse(CloudErrorKind::Throttled));
    }
    let fleet = bench.fleet().await;
    let targets = bench.launch(&fleet, &["us-east-1"]).await;
    assert_eq!(kind_of(&targets[0]), UndecidedKind::Throttled);
}

#[tokio::test]
async fn one_regions_trouble_is_not_the_others() {
    let bench = Bench::new();
    bench.cloud.fault("RunInstances", FakeFault::Refuse(CloudErrorKind::NoCapacity));
    let fleet = bench.fleet().await;
    let targets = bench.launch(&fleet, &["us-east-1", "eu-west-1", "eu-west-2"]).await;
    let (up, down): (Vec<_>, Vec<_>) = targets.iter().partition(|t| t.instance.is_ok());
    assert_eq!((up.len(), down.len()), (2, 1));
    assert_eq!(kind_of(down[0]), UndecidedKind::NoCapacity);
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

#[tokio::test]
async fn an_instance_that_ends_by_itself_is_lost_with_its_reason() {
    let bench = Bench::new();
    bench.cloud.dies_at_boot("Client.VolumeLimitExceeded: \u{1b}[2Jno");
    let fleet = bench.fleet().await;
    let targets = bench.launch(&fleet, &["us-east-1"]).await;
    let undecided = targets[0].instance.as_ref().expect_err("lost");
    assert_eq!(undecided.kind, UndecidedKind::Lost);
    assert!(undecided.reason.contains("Client.VolumeLimitExceeded") && !undecided.reason.contains('\u{1b}'));
    assert_eq!(bench.release(&fleet).await, []);
}

#[tokio::test]
async fn volumes_that_outlive_their_instance_are_deleted() {
    let bench = Bench::new();
    bench.cloud.keep_volumes();
    let fleet = bench.fleet().await;
    bench.launch(&fleet, &["us-east-1"]).await;
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    assert_eq!(bench.cloud.count("DeleteVolume"), 1);
}

#[tokio::test]
async fn two_amis_of_a_region_share_key_and_group() {
    let bench = Bench::new();
    let fleet = bench.fleet().await;
    let mut receiver = fleet.launch(vec![target("us-east-1", 1), target("us-east-1", 2)]);
    let mut amis = Vec::new();
    while let Some(target) = receiver.recv().await {
        assert!(target.instance.is_ok());
        amis.push(target.target);
    }
    assert_eq!(amis.len(), 2);
    assert_eq!((bench.cloud.count("ImportKeyPair"), bench.cloud.count("CreateSecurityGroup")), (1, 1));
    let (first, _) = target("us-east-1", 1);
    assert_eq!(fleet.fate(&first).await, None);
    fleet.end(&first).await;
    assert!(fleet.fate(&first).await.expect("ended").contains("gives no reason"));
    assert_eq!(bench.release(&fleet).await, []);
    assert!(bench.journal.open_steps().iter().all(|step| step.kind != JournaledKind::Instance));
}

#[tokio::test]
async fn whom_the_group_admits_must_be_knowable() {
    let mut bench = Bench::new();
    bench.order.ssh.interface = Some(SshInterface::PrivateIp);
    assert_eq!(fleet_cidrs(&bench).await.expect("known"), ["10.0.0.9/32"]);
    bench.order.ssh.interface = Some(SshInterface::Ipv6);
    assert!(fleet_cidrs(&bench).await.expect_err("unknown").contains("ipv6"));
    bench.order.ssh = SshSettings { proxy_command: Some("ssm {host}".to_owned()), ..SshSettings::default() };
    assert!(fleet_cidrs(&bench).await.expect_err("unknown").contains("ssh_proxy_command"));
    bench.order.launch.security_group_ids = vec!["sg-1".to_owned()];
    assert_eq!(fleet_cidrs(&bench).await.expect("not needed"), [""; 0]);
}

async fn fleet_cidrs(bench: &Bench) -> Result<Vec<String>, String> {
    let clouds = Arc::new(bench.cloud.clone());
    let fleet = Fleet::prepare(clouds, bench.journal.clone(), bench.order.clone(), bench.cancel.clone()).await;
    fleet.map(|fleet| fleet.cidrs().to_vec()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_target_of_an_ami_is_an_instance_of_its_own() {
    let bench = Bench::new();
    let fleet = bench.fleet().await;
    let (plain, image) = target("us-east-1", 1);
    let on = |size: &str| TargetId { instance_type: Some(size.to_owned()), ..plain.clone() };
    let undisturbed = TargetId { boot: BootOptions::Undisturbed, ..on("t3.large") };
    let wanted = [on("t3.small"), on("t3.large"), undisturbed.clone()];
    let mut receiver = fleet.launch(wanted.iter().map(|t| (t.clone(), image.clone())).collect());
    let mut up = BTreeMap::new();
    while let Some(launched) = receiver.recv().await {
        up.insert(launched.target, launched.instance.expect("running"));
    }
    assert_eq!(up.keys().collect::<BTreeSet<_>>(), wanted.iter().collect());
    assert_eq!(up.values().map(|i| &i.id).collect::<BTreeSet<_>>().len(), 3);
    for (target, instance) in &up {
        assert_eq!(Some(&instance.instance_type), target.instance_type.as_ref());
        assert_eq!(instance.host_key.is_none(), target.boot == BootOptions::Undisturbed, "{target}");
        let request = bench.cloud.edit(&region("us-east-1"), |s| s.instances[&instance.id].request.clone());
        assert_eq!(request.user_data.is_empty(), target.boot == BootOptions::Undisturbed, "{target}");
        assert!(!request.key_name.is_empty() && request.client_token.len() <= 64, "{request:?}");
    }
    fleet.end(&undisturbed).await;
    assert!(fleet.fate(&undisturbed).await.is_some(), "it ends");
    assert_eq!(fleet.fate(&wanted[1]).await, None, "and its neighbours do not");
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}
