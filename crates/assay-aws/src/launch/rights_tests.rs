//! What EC2 says beforehand of the clean-up calls, and what comes of it; against the fake cloud.

use super::tests::{Bench, kind_of, region};
use crate::cloud::{CloudErrorKind, fake::FakeFault};
use assay_model::UndecidedKind;

const HERE: &str = "us-east-1";

fn deny(bench: &Bench, action: &str) {
    bench.cloud.holdings(&region(HERE), |held| held.denied.insert(action.to_owned()));
}

fn creating(bench: &Bench) -> usize {
    ["ImportKeyPair", "CreateSecurityGroup", "RunInstances"].iter().map(|action| bench.cloud.count(action)).sum()
}

#[tokio::test]
async fn nothing_is_made_where_ec2_says_that_it_could_not_be_removed() {
    for action in ["TerminateInstances", "DeleteKeyPair", "DeleteSecurityGroup"] {
        let bench = Bench::new();
        deny(&bench, action);
        let fleet = bench.fleet().await;
        let launched = bench.launch(&fleet, &[HERE]).await.pop().expect("a target");
        assert_eq!(kind_of(&launched), UndecidedKind::Credentials, "{action}");
        let reason = &launched.instance.as_ref().expect_err("refused").reason;
        assert!(reason.contains(&format!("ec2:{action} is not allowed")) && reason.contains(HERE), "{reason}");
        assert_eq!(creating(&bench), 0, "{action}: {:?}", bench.cloud.calls());
        assert_eq!(bench.release(&fleet).await, []);
    }
}

#[tokio::test]
async fn no_answer_and_other_errors_are_no_reason_not_to_launch() {
    for fault in [FakeFault::Drop, FakeFault::Refuse(CloudErrorKind::Throttled)] {
        let bench = Bench::new();
        bench.cloud.fault("DryRun", fault).fault("DryRun", fault).fault("DryRun", fault);
        let fleet = bench.fleet().await;
        let launched = bench.launch(&fleet, &[HERE]).await.pop().expect("a target");
        assert!(launched.instance.is_ok(), "{launched:?}");
        assert_eq!(bench.release(&fleet).await, []);
    }
}

#[tokio::test]
async fn it_is_asked_once_a_region_and_can_be_turned_off() {
    let mut bench = Bench::new();
    let fleet = bench.fleet().await;
    bench.launch(&fleet, &[HERE, HERE, HERE]).await;
    assert_eq!(bench.cloud.count("DryRun"), 3, "three calls, whatever is launched");
    bench.release(&fleet).await;
    bench = Bench::new();
    deny(&bench, "TerminateInstances");
    bench.order.launch.clean_up_check = false;
    let fleet = bench.fleet().await;
    let launched = bench.launch(&fleet, &[HERE]).await.pop().expect("a target");
    assert!(launched.instance.is_ok(), "{launched:?}");
    assert_eq!(bench.cloud.count("DryRun"), 0);
    bench.release(&fleet).await;
}
