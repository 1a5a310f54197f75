//! The last safety net of a test instance: where assay and its reaper are both killed, it powers itself off at its ttl, and
//! `InstanceInitiatedShutdownBehavior = terminate` makes EC2 end it with its volume.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{cloud::Cloud, packer::Workshop, processes::children_of};

const SLOW_SUITE: &str =
    "suite \"slow\" {\n  timeout = \"120s\"\n  command \"sleep 100\" {\n    exit-status = 0\n  }\n}\n";

#[test]
fn an_instance_that_nobody_ends_ends_itself_at_its_ttl() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("slow.hcl", SLOW_SUITE);
    let ami = format!("us-east-1:{}", cloud.own_image("booted", "us-east-1", "abandoned"));
    let assay = crate::support::tools::assay();
    let mut validate = workshop
        .command(&assay)
        .args(["validate", "--ami", &ami, "--suite", "slow.hcl", "--ssh-username", "debian", "--no-stamp"])
        .args(["--ssh-timeout", "50s", "--ttl", "100s", "--temporary-security-group-source-cidr", "127.0.0.1/32"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(workshop.path().join("validate.log")).expect("a log"))
        .spawn()
        .expect("assay starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while cloud.left().iter().all(|left| !left.contains("running")) {
        assert!(Instant::now() < deadline, "nothing runs: {:?}\n{}", cloud.left(), workshop.read("validate.log"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // It must have booted as far as our boot hook, which arms the timer.
    std::thread::sleep(Duration::from_secs(8));
    let children = children_of(&validate.id().to_string());
    assert!(children.len() >= 2, "reaper and prober: {children:?}");
    // All in one call: neither may have the time to see the other go.
    let parent = validate.id().to_string();
    let all = children.iter().map(String::as_str).chain([parent.as_str()]);
    let status = Command::new("kill").args(["-KILL", "--"]).args(all).status().expect("kill runs");
    assert!(status.success(), "kill -KILL {children:?} {parent}");
    let _status = validate.wait();
    // Nobody is left who would end it: it is still there when a reaper would long have been done.
    std::thread::sleep(Duration::from_secs(20));
    assert!(cloud.left().iter().any(|left| left.contains("running")), "somebody ended it: {:?}", cloud.left());
    let launched = cloud.calls().into_iter().find(|call| call["action"] == "RunInstances").expect("a launch");
    assert_eq!(launched["parameters"]["InstanceInitiatedShutdownBehavior"], "terminate", "{launched}");
    let deadline = Instant::now() + Duration::from_secs(140);
    while cloud.left().iter().any(|left| left.starts_with("instance") || left.starts_with("volume")) {
        assert!(Instant::now() < deadline, "past its ttl: {:?}", cloud.left());
        std::thread::sleep(Duration::from_millis(500));
    }
}
