//! Nothing is left: after Ctrl-C, after `kill -9` of assay, after `kill -9` of Packer and a sweep.

use std::{
    collections::BTreeSet,
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    support::{
        cloud::Cloud,
        packer::{SURROGATE, Workshop},
        processes::children_of,
    },
};

/// A suite whose one check takes its time, so that a test can strike in the middle.
const SLOW_SUITE: &str = r#"suite "light" {
  timeout = "120s"
  command "sleep 90" {
    exit-status = 0
  }
}
"#;

struct Scene {
    cloud: Cloud,
    workshop: Workshop,
    ami: String,
    packer: Child,
}

/// Packer in the middle of assay's checks.
fn in_the_middle() -> Scene {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", SLOW_SUITE);
    workshop.write("surrogate.pkr.hcl", &SURROGATE.replace("@SETTINGS@", LIGHT));
    let ami = cloud.own_image("light", "us-east-1", "interrupted");
    let packer = workshop.packer_in_background(&[
        "build",
        "-color=false",
        "-var",
        &format!("ami=us-east-1:{ami}"),
        "surrogate.pkr.hcl",
    ]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !workshop.read("packer.log").contains("ssh") || cloud.left().iter().all(|l| !l.contains("running")) {
        assert!(
            Instant::now() < deadline,
            "assay never got to its checks:\n{}\n{:?}",
            workshop.read("packer.log"),
            cloud.left()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Scene { cloud, workshop, ami, packer }
}

fn signal(name: &str, pid: &str) {
    let status = Command::new("kill").args([name, "--", pid]).status().expect("kill runs");
    assert!(status.success(), "kill {name} {pid}");
}

/// The process that serves the post-processor: the one child of this build's Packer that runs our plugin with `start`.
fn plugin_pid(workshop: &Workshop) -> String {
    let plugins = workshop.path().join("plugins").display().to_string();
    for entry in std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok) {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.starts_with(&plugins) && line.contains("packer-plugin-assay") && line.contains(" start ") {
            return entry.file_name().to_string_lossy().into_owned();
        }
    }
    panic!("no plugin process below {plugins}");
}

/// What of `pid`'s descriptors, those that `wanted` picks by number, another process may wait for the end of: pipes, sockets, and the log that Packer
/// writes to.
fn open_in(pid: &str, wanted: impl Fn(u32) -> bool) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeSet::new() };
    let picked = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()).is_some_and(&wanted));
    let named = picked.filter_map(|entry| std::fs::read_link(entry.path()).ok()).map(|to| to.display().to_string());
    named.filter(|name| ["pipe:", "socket:", "packer.log"].iter().any(|kind| name.contains(kind))).collect()
}

fn wait(child: &mut Child, limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        if child.try_wait().expect("a status").is_some() {
            return began.elapsed();
        }
        assert!(began.elapsed() < limit, "Packer is still there after {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_in_packer_ends_in_clean_up_and_an_untested_ami() {
    let mut scene = in_the_middle();
    signal("-INT", &format!("-{}", scene.packer.id()));
    wait(&mut scene.packer, Duration::from_secs(30));
    scene.cloud.wait_until_clean(15);
    let image = scene.cloud.image(&scene.ami);
    assert_eq!(image["tags"]["assay:state"], "untested", "{image}\n{}", scene.workshop.read("packer.log"));
}

#[test]
fn kill_9_of_assay_costs_no_ami_hangs_no_packer_and_leaves_nothing() {
    let mut scene = in_the_middle();
    let plugin = plugin_pid(&scene.workshop);
    let children = children_of(&plugin);
    assert!(children.len() >= 2, "reaper and prober: {children:?}");
    let mut awaited = open_in(&scene.packer.id().to_string(), |_| true);
    // Of the plugin's own: its standard streams are Packer's pipes, and a socket that a child has too would be the connection to Packer.
    awaited.extend(open_in(&plugin, |number| number < 3));
    awaited.extend(open_in(&plugin, |_| true).into_iter().filter(|name| name.starts_with("socket:")));
    assert!(!awaited.is_empty(), "Packer has nothing open: this would prove nothing");
    // Looked at while all of them live: after the kill the prober ends too, and nobody gets descriptors any more.
    for child in &children {
        assert!(!open_in(child, |_| true).is_empty(), "{child} has nothing open: this would prove nothing");
        let held: Vec<String> = open_in(child, |_| true).intersection(&awaited).cloned().collect();
        assert_eq!(held, Vec::<String>::new(), "{child} holds what Packer waits for");
    }
    signal("-KILL", &plugin);
    let returned = wait(&mut scene.packer, Duration::from_secs(20));
    eprintln!("Packer returned {returned:?} after kill -9 of assay");
    let image = scene.cloud.image(&scene.ami);
    assert_eq!(image["name"], "interrupted", "still there");
    assert_eq!(image["protected"], true, "protected first, and the reaper lifts nothing");
    assert!(!scene.workshop.path().join("destroyed").exists());
    scene.cloud.wait_until_clean(60);
    // The reaper has seen to it that nothing is left, and then leaves too: the cloud must not end under its hands.
    let deadline = Instant::now() + Duration::from_secs(60);
    while children.iter().any(|child| std::path::Path::new("/proc").join(child).exists()) {
        assert!(Instant::now() < deadline, "the reaper or the prober still lives: {children:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn one_sweep_clears_what_a_killed_packer_left() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    let mut packer = workshop.packer_in_background(&[
        "build",
        "-color=false",
        "-var",
        "ssh_source_cidrs=[\"127.0.0.1/32\"]",
        "-var",
        "ssh_username=debian",
        "-var",
        "owner=sweep-me",
        "packer/base.pkr.hcl",
    ]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !workshop.read("packer.log").contains("Connected to SSH") {
        assert!(Instant::now() < deadline, "{}", workshop.read("packer.log"));
        std::thread::sleep(Duration::from_millis(100));
    }
    signal("-KILL", &format!("-{}", packer.id()));
    let _status = packer.wait();
    let before = cloud.left();
    for kind in ["instance", "key pair", "security group"] {
        assert!(before.iter().any(|left| left.starts_with(kind)), "a killed Packer leaves its {kind}: {before:?}");
    }

    let shown = workshop.assay(&["sweep", "--owner", "sweep-me", "--older-than", "1s", "--region", "us-east-1"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("i-"), "{text}{}", String::from_utf8_lossy(&shown.stderr));
    let all = cloud.left();
    assert_eq!(all, before, "without --yes it only shows");

    let other =
        workshop.assay(&["sweep", "--owner", "somebody-else", "--older-than", "1s", "--region", "us-east-1", "--yes"]);
    assert_eq!(cloud.left(), all, "another owner's things stay: {}", String::from_utf8_lossy(&other.stdout));

    let done =
        workshop.assay(&["sweep", "--owner", "sweep-me", "--older-than", "1s", "--region", "us-east-1", "--yes"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    cloud.wait_until_clean(15);
}

#[test]
fn the_suite_for_light_instances_is_sound() {
    // The scenarios above use a slow suite; this guards that their AMI would pass if left alone.
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "left-alone");
    workshop.build_surrogate(&format!("us-east-1:{ami}"), LIGHT).expect(0);
    cloud.wait_until_clean(10);
}
