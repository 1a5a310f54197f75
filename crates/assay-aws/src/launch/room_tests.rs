//! Where there is no room: fallback over subnets and types, filters, and never more instances than places; against the fake cloud.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    LaunchedTarget,
    tests::{Bench, kind_of, region, target},
};
use crate::cloud::{
    CloudErrorKind, CloudSubnet,
    fake::{FakeFault, LaunchShortage},
};
use assay_config::settings::{ResourceFilters, SubnetFilter, SubnetPick};
use assay_model::{BootOptions, TargetId, UndecidedKind};

const HERE: &str = "us-east-1";

/// A subnet of `vpc` in zone `a`, `b`, … with so many free addresses, and its class in a tag.
fn add_subnet(bench: &Bench, id: &str, vpc: &str, zone: &str, free_addresses: i32) {
    let subnet =
        CloudSubnet { id: id.to_owned(), vpc: vpc.to_owned(), zone: Some(format!("{HERE}{zone}")), free_addresses };
    let tags = [("Class".to_owned(), "test".to_owned())].into();
    bench.cloud.edit(&region(HERE), |stock| stock.subnets.push((subnet, tags)));
}

fn lacks(bench: &Bench, instance_type: Option<&str>, subnet: Option<&str>, code: &str) {
    bench.cloud.lacks(LaunchShortage {
        instance_type: instance_type.map(str::to_owned),
        subnet: subnet.map(str::to_owned),
        code: code.to_owned(),
    });
}

fn class(value: &str) -> ResourceFilters {
    [("tag:Class".to_owned(), vec![value.to_owned()])].into()
}

async fn one(bench: &Bench) -> LaunchedTarget {
    let fleet = bench.fleet().await;
    let mut launched = bench.launch(&fleet, &[HERE]).await;
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    launched.pop().expect("a target")
}

/// `type zone` of every refused launch.
fn refused(target: &LaunchedTarget) -> Vec<String> {
    let place = |r: &assay_model::evidence::RefusedLaunch| r.availability_zone.clone().unwrap_or("-".to_owned());
    target.refused.iter().map(|r| format!("{} {}", r.instance_type, place(r))).collect()
}

/// Type and subnet of the only instance.
fn request(bench: &Bench) -> (String, Option<String>) {
    bench.cloud.edit(&region(HERE), |stock| {
        assert_eq!(stock.instances.len(), 1);
        let request = &stock.instances.values().next().expect("an instance").request;
        (request.instance_type.clone(), request.subnet_id.clone())
    })
}

#[tokio::test]
async fn no_room_where_ec2_chose_is_tried_in_every_default_subnet_under_new_tokens() {
    let bench = Bench::new();
    for (id, zone, free) in [("subnet-a", "a", 10), ("subnet-b", "b", 30), ("subnet-c", "c", 20)] {
        add_subnet(&bench, id, "vpc-1", zone, free);
    }
    add_subnet(&bench, "subnet-x", "vpc-other", "a", 99);
    for taken in ["-", "subnet-b"] {
        lacks(&bench, None, Some(taken), "InsufficientInstanceCapacity");
    }
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let seen = tokens.clone();
    bench.cloud.on_call(move |action, token| {
        if action == "RunInstances" {
            seen.lock().expect("lock").push(token.to_owned());
        }
    });
    let launched = one(&bench).await;
    let instance = launched.instance.as_ref().expect("running");
    assert_eq!(refused(&launched), ["t3.small -", "t3.small us-east-1b"]);
    assert_eq!(instance.availability_zone.as_deref(), Some("us-east-1c"));
    assert_eq!(request(&bench), ("t3.small".to_owned(), Some("subnet-c".to_owned())));
    let tokens = tokens.lock().expect("lock").clone();
    assert_eq!(tokens.len(), 3, "each way is tried once: {tokens:?}");
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), 3, "and under its own token: {tokens:?}");
    assert!(tokens.iter().all(|t| t.len() <= 64 && t.starts_with(&bench.order.run.resource_prefix())));
}

#[tokio::test]
async fn types_come_after_subnets_and_a_quota_goes_straight_to_the_next_type() {
    for (code, ways) in [
        ("Unsupported", vec!["t3.small us-east-1b", "t3.small us-east-1a"]),
        ("SpotMaxPriceTooLow", vec!["t3.small us-east-1b", "t3.small us-east-1a"]),
        ("VcpuLimitExceeded", vec!["t3.small us-east-1b"]),
        ("MaxSpotInstanceCountExceeded", vec!["t3.small us-east-1b"]),
    ] {
        let mut bench = Bench::new();
        add_subnet(&bench, "subnet-a", "vpc-2", "a", 10);
        add_subnet(&bench, "subnet-b", "vpc-2", "b", 30);
        bench.order.launch.subnet_filter = Some(SubnetFilter { filters: class("test"), pick: SubnetPick::MostFree });
        bench.order.launch.fallback_types = vec!["t3a.small".to_owned()];
        lacks(&bench, Some("t3.small"), None, code);
        let launched = one(&bench).await;
        assert_eq!(launched.instance.as_ref().expect("running").instance_type, "t3a.small", "{code}");
        assert_eq!(refused(&launched), ways, "{code}");
        assert_eq!(request(&bench).1.as_deref(), Some("subnet-b"), "{code}");
    }
}

#[tokio::test]
async fn all_exhausted_is_undecided_with_every_reason() {
    let mut bench = Bench::new();
    bench.order.launch.subnets = [(region(HERE), vec!["subnet-a".to_owned(), "subnet-b".to_owned()])].into();
    add_subnet(&bench, "subnet-b", "vpc-2", "b", 30);
    add_subnet(&bench, "subnet-a", "vpc-2", "a", 10);
    bench.order.launch.fallback_types = vec!["t3a.small".to_owned()];
    lacks(&bench, Some("t3.small"), None, "InsufficientInstanceCapacity");
    lacks(&bench, Some("t3a.small"), Some("subnet-a"), "InsufficientFreeAddressesInSubnet");
    lacks(&bench, Some("t3a.small"), Some("subnet-b"), "Unsupported");
    let launched = one(&bench).await;
    assert_eq!(kind_of(&launched), UndecidedKind::NoCapacity);
    let ways = ["t3.small us-east-1a", "t3.small us-east-1b", "t3a.small us-east-1a", "t3a.small us-east-1b"];
    assert_eq!(refused(&launched), ways);
    let reason = &launched.instance.as_ref().expect_err("no room").reason;
    for part in ["InsufficientInstanceCapacity", "InsufficientFreeAddressesInSubnet", "Unsupported", "subnet-a"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!(bench.cloud.count("RunInstances"), 4);
    assert!(bench.journal.open_steps().is_empty(), "every refusal is noted");
}

#[tokio::test]
async fn a_type_that_is_nowhere_is_no_lack_of_capacity() {
    let bench = Bench::new();
    add_subnet(&bench, "subnet-a", "vpc-1", "a", 10);
    lacks(&bench, None, None, "Unsupported");
    let launched = one(&bench).await;
    assert_eq!(kind_of(&launched), UndecidedKind::Cloud);
    assert_eq!(refused(&launched), ["t3.small -", "t3.small us-east-1a"]);
}

#[tokio::test]
async fn another_error_is_no_reason_to_try_elsewhere() {
    for code in ["InvalidParameterValue", "UnauthorizedOperation", "VolumeLimitExceeded"] {
        let mut bench = Bench::new();
        add_subnet(&bench, "subnet-a", "vpc-1", "a", 10);
        bench.order.launch.fallback_types = vec!["t3a.small".to_owned()];
        bench.cloud.fault("RunInstances", FakeFault::Code(code));
        let launched = one(&bench).await;
        assert!(launched.instance.is_err() && launched.refused.is_empty(), "{code}");
        assert_eq!(bench.cloud.count("RunInstances"), 1, "{code}");
    }
}

#[tokio::test]
async fn a_lost_answer_before_a_refusal_leaves_nothing_behind() {
    let mut bench = Bench::new();
    bench.order.launch.fallback_types = vec!["t3a.small".to_owned()];
    bench.cloud.fault("RunInstances", FakeFault::LoseAnswer);
    bench.cloud.fault("RunInstances", FakeFault::Code("InsufficientInstanceCapacity"));
    let fleet = bench.fleet().await;
    let launched = bench.launch(&fleet, &[HERE]).await;
    assert_eq!(launched[0].instance.as_ref().expect("the second way").instance_type, "t3a.small");
    assert_eq!(bench.cloud.edit(&region(HERE), |s| s.instances.len()), 2, "the first one was launched after all");
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

#[tokio::test]
async fn filters_choose_as_amazons_do() {
    let network = |pick| {
        let mut bench = Bench::new();
        add_subnet(&bench, "subnet-a", "vpc-2", "a", 10);
        add_subnet(&bench, "subnet-b", "vpc-2", "b", 30);
        bench.order.launch.subnet_filter = Some(SubnetFilter { filters: class("test"), pick });
        bench
    };
    let launched = one(&network(SubnetPick::Only)).await;
    let reason = &launched.instance.expect_err("two match").reason;
    assert!(reason.contains("matches 2 subnets") && reason.contains("most_free"), "{reason}");
    let bench = network(SubnetPick::MostFree);
    assert!(one(&bench).await.instance.is_ok());
    assert_eq!(request(&bench).1.as_deref(), Some("subnet-b"));
    let bench = network(SubnetPick::Random);
    assert!(one(&bench).await.instance.is_ok());
    let mut bench = network(SubnetPick::MostFree);
    bench.order.launch.subnet_id = Some("subnet-a".to_owned());
    assert!(one(&bench).await.instance.is_ok());
    assert_eq!(request(&bench).1.as_deref(), Some("subnet-a"), "an id outweighs the filter");
    let mut bench = network(SubnetPick::MostFree);
    bench.order.launch.subnet_filter = Some(SubnetFilter { filters: class("none"), pick: SubnetPick::MostFree });
    let launched = one(&bench).await;
    assert_eq!(kind_of(&launched), UndecidedKind::Configuration);
    let reason = &launched.instance.expect_err("none matches").reason;
    assert!(reason.contains("no subnet in us-east-1") && reason.contains("tag:Class = \"none\""), "{reason}");
    assert_eq!(bench.cloud.count("ImportKeyPair"), 0, "nothing is made before the network is known");
}

#[tokio::test]
async fn a_vpc_filter_matches_exactly_one() {
    let mut bench = Bench::new();
    bench.order.launch.vpc_filter = Some(class("test"));
    let tag = || [("Class".to_owned(), "test".to_owned())].into();
    bench.cloud.edit(&region(HERE), |stock| stock.vpcs.insert("vpc-2".to_owned(), tag()));
    add_subnet(&bench, "subnet-a", "vpc-2", "a", 10);
    add_subnet(&bench, "subnet-x", "vpc-3", "a", 90);
    assert!(one(&bench).await.instance.is_ok());
    assert_eq!(request(&bench).1.as_deref(), Some("subnet-a"));
    bench.cloud.edit(&region(HERE), |stock| stock.vpcs.insert("vpc-3".to_owned(), tag()));
    let reason = one(&bench).await.instance.expect_err("two").reason;
    assert!(reason.contains("2 VPCs") && reason.contains("vpc-2, vpc-3"), "{reason}");
    bench.cloud.edit(&region(HERE), |stock| stock.vpcs.clear());
    let reason = one(&bench).await.instance.expect_err("none").reason;
    assert!(reason.contains("no VPC"), "{reason}");
}

#[tokio::test]
async fn a_group_filter_takes_every_match_and_makes_no_group() {
    let mut bench = Bench::new();
    bench.order.launch.security_group_filter = Some(class("test"));
    let launched = one(&bench).await;
    assert_eq!(kind_of(&launched), UndecidedKind::Configuration);
    let tags: std::collections::BTreeMap<_, _> = [("Class".to_owned(), "test".to_owned())].into();
    bench.cloud.edit(&region(HERE), |stock| {
        for id in ["sg-1", "sg-2"] {
            stock.groups.insert(id.to_owned(), (id.to_owned(), tags.clone(), Vec::new()));
        }
    });
    let fleet = bench.fleet().await;
    assert_eq!(fleet.cidrs(), [""; 0]);
    assert!(bench.launch(&fleet, &[HERE]).await[0].instance.is_ok());
    bench.cloud.edit(&region(HERE), |stock| {
        let instance = stock.instances.values().next().expect("an instance");
        assert_eq!(instance.request.security_group_ids, ["sg-1", "sg-2"]);
    });
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.count("CreateSecurityGroup"), 0);
    assert_eq!(bench.cloud.count("DeleteSecurityGroup"), 0, "the user's groups stay");
}

/// Launches targets of two regions on two types, each with an undisturbed second instance, and ends each as soon as it is handed over.
async fn crowd(bench: &Bench) -> Vec<LaunchedTarget> {
    let mut wanted = Vec::new();
    for (at, name) in [HERE, "eu-west-1", HERE, "eu-west-1", HERE].into_iter().enumerate() {
        let (plain, image) = target(name, u32::try_from(at).expect("small") + 1);
        for size in ["t3.small", "t3.large"] {
            for boot in [BootOptions::Prepared, BootOptions::Undisturbed] {
                wanted.push((TargetId { instance_type: Some(size.to_owned()), boot, ..plain.clone() }, image.clone()));
            }
        }
    }
    let count = wanted.len();
    let fleet = bench.fleet().await;
    let mut receiver = fleet.launch(wanted);
    let mut launched = Vec::new();
    while let Some(target) = receiver.recv().await {
        fleet.end(&target.target).await;
        launched.push(target);
    }
    assert_eq!(launched.len(), count, "each comes out once");
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
    launched
}

/// EC2 accepts a launch, and says a moment later that it has no room for it.
#[tokio::test]
async fn a_lack_of_room_that_is_told_late_is_no_end() {
    let mut bench = Bench::new();
    bench.order.launch.fallback_types = vec!["t3.large".to_owned()];
    bench.cloud.ends_for("Server.InsufficientInstanceCapacity");
    let fleet = bench.fleet().await;
    let launched = bench.launch(&fleet, &["us-east-1"]).await.remove(0);
    let instance = launched.instance.expect("it runs");
    assert_eq!(launched.refused.len(), 1, "{:?}", launched.refused);
    assert!(launched.refused[0].reason.contains("said later"));
    assert_eq!(bench.cloud.count("RunInstances"), 2);
    let tokens = bench.cloud.calls().into_iter().filter(|call| call.contains("RunInstances"));
    assert_eq!(tokens.collect::<BTreeSet<_>>().len(), 2, "under a token of its own");
    assert_ne!(instance.instance_type, launched.refused[0].instance_type);
    assert!(bench.release(&fleet).await.is_empty());
    assert_eq!(bench.cloud.left(), [""; 0]);

    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 1;
    for _ in 0..8 {
        bench.cloud.ends_for("Server.SpotInstanceTermination");
    }
    let fleet = bench.fleet().await;
    let launched = bench.launch(&fleet, &["us-east-1"]).await.remove(0);
    assert_eq!(kind_of(&launched), UndecidedKind::NoCapacity);
    assert!(bench.release(&fleet).await.is_empty());
}

#[tokio::test]
async fn a_fallback_of_another_architecture_is_passed_over() {
    let mut bench = Bench::new();
    bench.order.launch.fallback_types = ["t4g.small", "t3a.small"].map(str::to_owned).to_vec();
    let full = |of: &str, code: &str| LaunchShortage {
        instance_type: Some(of.to_owned()),
        subnet: None,
        code: code.to_owned(),
    };
    bench.cloud.lacks(full("t3.small", "InsufficientInstanceCapacity"));
    bench
        .cloud
        .lacks(full("t4g.small", "InvalidParameterValue: The architecture 'arm64' does not match that of the AMI"));
    let fleet = bench.fleet().await;
    let launched = bench.launch(&fleet, &["us-east-1"]).await.remove(0);
    assert_eq!(launched.instance.expect("it runs").instance_type, "t3a.small");
    assert!(launched.refused.iter().all(|refused| refused.instance_type == "t3.small"), "{:?}", launched.refused);
    assert!(bench.release(&fleet).await.is_empty());
}

#[tokio::test]
async fn never_more_are_alive_than_there_are_places() {
    for places in [1, 3, 100] {
        let mut bench = Bench::new();
        bench.cloud.takes(2, 1);
        bench.cloud.invisible_for(1);
        bench.order.launch.max_parallel = places;
        let launched = crowd(&bench).await;
        assert!(launched.iter().all(|l| l.instance.is_ok()), "{places}");
        assert_eq!(bench.cloud.most_alive(), places.min(20), "as many as allowed, and no more");
    }
}

#[tokio::test]
async fn instances_that_never_come_up_and_ends_that_are_not_answered_give_their_places_back() {
    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 2;
    bench.cloud.dies_at_boot("Client.InternalError");
    assert!(crowd(&bench).await.iter().all(|l| kind_of(l) == UndecidedKind::Lost));
    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 2;
    for fault in [FakeFault::Refuse(CloudErrorKind::Throttled), FakeFault::Drop, FakeFault::LoseAnswer] {
        for _ in 0..3 {
            bench.cloud.fault("TerminateInstances", fault);
        }
    }
    assert!(crowd(&bench).await.iter().all(|l| l.instance.is_ok()));
    assert!(bench.cloud.most_alive() <= 2);
}

#[tokio::test]
async fn instances_that_cannot_be_ended_are_undecided_for_the_rest_and_not_a_standstill() {
    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 2;
    // One end each, and each tried once more.
    for _ in 0..4 {
        bench.cloud.fault("TerminateInstances", FakeFault::Refuse(CloudErrorKind::Denied));
    }
    let launched = crowd(&bench).await;
    assert_eq!(launched.iter().filter(|l| l.instance.is_ok()).count(), 2);
    let waiting = launched.iter().find(|l| l.instance.is_err()).expect("the rest");
    assert!(waiting.instance.as_ref().expect_err("undecided").reason.contains("max_parallel"));
    assert_eq!(bench.cloud.most_alive(), 2);
}

#[tokio::test]
async fn a_cancel_ends_the_waiting_for_a_place() {
    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 1;
    let fleet = bench.fleet().await;
    let mut receiver = fleet.launch((1..=3).map(|number| target(HERE, number)).collect());
    assert!(receiver.recv().await.expect("the first").instance.is_ok());
    bench.cancel.cancel();
    while let Some(rest) = receiver.recv().await {
        assert_eq!(kind_of(&rest), UndecidedKind::Cancelled);
    }
    assert_eq!(bench.release(&fleet).await, []);
    assert_eq!(bench.cloud.left(), [""; 0]);
}

#[tokio::test]
async fn what_waited_for_a_place_has_its_whole_time() {
    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 1;
    bench.order.launch.ttl = Duration::from_secs(600);
    let launched = crowd(&bench).await;
    let starts: BTreeSet<_> = launched.iter().map(|l| l.started).collect();
    assert_eq!(starts.len(), launched.len(), "each is counted from its own launch");
    bench.cloud.edit(&region(HERE), |stock| {
        for instance in stock.instances.values() {
            let until: jiff::Timestamp = instance.told.tags[assay_model::tags::EXPIRES_AT].parse().expect("a time");
            let left = until.as_second() - instance.told.launch_time.expect("a time");
            assert!((590..=601).contains(&left), "{left}");
        }
    });
}

/// More than tokio lets one task do in one go (128 operations), so that a turn taken away by it shows too.
const MANY: u32 = 140;

#[tokio::test]
async fn places_are_given_in_the_order_in_which_targets_are_named() {
    let mut bench = Bench::new();
    bench.order.launch.max_parallel = 1;
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let seen = tokens.clone();
    bench.cloud.on_call(move |action, token| {
        if action == "RunInstances" {
            seen.lock().expect("lock").push(token.to_owned());
        }
    });
    let fleet = bench.fleet().await;
    let mut receiver = fleet.launch((1..=MANY).map(|number| target(HERE, number)).collect());
    while let Some(launched) = receiver.recv().await {
        assert!(launched.instance.is_ok());
        fleet.end(&launched.target).await;
    }
    let image_of = |token: &String| {
        bench.cloud.edit(&region(HERE), |stock| {
            let made = stock.instances.values().find(|i| i.request.client_token == *token);
            made.expect("an instance").request.image.to_string()
        })
    };
    let order: Vec<String> = tokens.lock().expect("lock").iter().map(image_of).collect();
    let given: Vec<String> = (1..=MANY).map(|number| target(HERE, number).0.image().to_string()).collect();
    assert_eq!(order, given);
    assert_eq!(bench.release(&fleet).await, []);
}
