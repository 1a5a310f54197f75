//! What becomes of the AMI when testing does not end well: failed is kept and rejected, undecided is kept and untested, whatever the template says.

use serde_json::json;

use crate::{
    build::{LIGHT, LIGHT_SUITE, last_ami},
    support::{cloud::Cloud, packer::Workshop},
};

const BROKEN_SUITE: &str = r#"suite "light" {
  file "/etc/passwd" {
    exists = true
    mode   = "0600"
  }
}
"#;

struct Scene {
    cloud: Cloud,
    workshop: Workshop,
    ami: String,
    named: String,
}

/// A cloud with one light AMI of ours, and a workshop whose suite it passes.
fn scene() -> Scene {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "under-test");
    let named = format!("us-east-1:{ami}");
    Scene { cloud, workshop, ami, named }
}

impl Scene {
    fn destroyed(&self) -> bool {
        self.workshop.path().join("destroyed").exists()
    }

    #[track_caller]
    fn kept_as(&self, state: &str) {
        let image = self.cloud.image(&self.ami);
        assert_eq!(image["tags"]["assay:state"], state, "{image}");
        assert_eq!(image["protected"], true, "{image}");
        self.cloud.wait_until_clean(10);
    }
}

#[test]
fn a_failed_check_rejects_the_ami_keeps_it_and_shows_expected_and_actual_then_the_same_template_builds_green() {
    let scene = scene();
    scene.workshop.write("light.hcl", BROKEN_SUITE);
    let red = scene.workshop.build_surrogate(&scene.named, LIGHT).expect(1);
    red.says("/etc/passwd").says("0600").says("0644");
    scene.kept_as("rejected");
    assert!(!scene.destroyed(), "the second chain keeps it");

    scene.workshop.write("light.hcl", LIGHT_SUITE);
    let fresh = scene.cloud.own_image("light", "us-east-1", "after-the-mend");
    scene.workshop.build_surrogate(&format!("us-east-1:{fresh}"), LIGHT).expect(0);
    assert_eq!(scene.cloud.image(&fresh)["tags"]["assay:state"], "candidate");
    assert_eq!(last_ami(&scene.workshop), fresh);
}

#[test]
fn an_unreachable_instance_is_untested_and_kept_even_with_destroy() {
    let scene = scene();
    scene.cloud.unreachable(&scene.ami);
    let settings = format!("{LIGHT}    ssh_timeout = \"8s\"\n    on_failure = \"destroy\"\n");
    let red = scene.workshop.build_surrogate(&scene.named, &settings).expect(1);
    red.says("undecided");
    scene.kept_as("untested");
    assert!(!scene.destroyed());
    let reports = scene.workshop.path().join("build/reports");
    let console = std::fs::read_dir(&reports)
        .expect("reports")
        .filter_map(Result::ok)
        .any(|f| f.file_name().to_string_lossy().contains("console"));
    assert!(console, "the console output is saved when an instance cannot be reached");
}

#[test]
fn a_throttled_api_is_untested_never_rejected() {
    let scene = scene();
    scene.cloud.faults(json!([{ "action": "RunInstances", "times": 1000, "kind": "error", "code": "RequestLimitExceeded", "status": 503, "message": "slow down" }]));
    let settings = format!("{LIGHT}    ssh_timeout = \"10s\"\n    on_failure = \"destroy\"\n");
    scene.workshop.build_surrogate(&scene.named, &settings).expect(1).says("undecided");
    scene.kept_as("untested");
}

#[test]
fn destroy_leaves_a_failed_ami_to_packer() {
    let scene = scene();
    scene.workshop.write("light.hcl", BROKEN_SUITE);
    let settings = format!("{LIGHT}    on_failure = \"destroy\"\n");
    scene.workshop.build_surrogate(&scene.named, &settings).expect(1);
    let image = scene.cloud.image(&scene.ami);
    assert_eq!(image["tags"]["assay:state"], "rejected");
    assert_eq!(image["protected"], false, "our protection is off, so that Packer may deregister it");
}

#[test]
fn where_protection_is_denied_the_shipped_template_still_keeps_the_ami() {
    let scene = scene();
    scene.workshop.write("light.hcl", BROKEN_SUITE);
    scene.cloud.faults(json!([{ "action": "EnableImageDeregistrationProtection", "times": 1000, "kind": "error", "code": "UnauthorizedOperation", "status": 403, "message": "not for you" }]));
    let red = scene.workshop.build_surrogate(&scene.named, LIGHT).expect(1);
    red.says("could not be protected");
    assert!(!scene.destroyed());
    assert_eq!(scene.cloud.image(&scene.ami)["tags"]["assay:state"], "rejected");
}

#[test]
fn credentials_of_another_account_are_named_and_the_ami_is_kept() {
    let mut scene = scene();
    let other = scene.cloud.accounts().into_iter().find(|a| a != "main").expect("two accounts");
    for (key, value) in scene.cloud.environment(&other) {
        scene.workshop.set(&key, &value);
    }
    let red = scene.workshop.build_surrogate(&scene.named, LIGHT).expect(1);
    red.says("account");
    assert!(!scene.destroyed());
    assert_eq!(scene.cloud.image(&scene.ami)["name"], "under-test", "still there");
    scene.cloud.wait_until_clean(5);
}

#[test]
fn protection_that_was_on_before_stays_on() {
    let scene = scene();
    scene.cloud.protect(&scene.ami, "us-east-1");
    scene.workshop.build_surrogate(&scene.named, LIGHT).expect(0);
    assert_eq!(scene.cloud.image(&scene.ami)["protected"], true);
}

#[test]
fn five_mistakes_in_a_template_are_five_messages_and_cost_no_call() {
    let scene = scene();
    let settings = r#"
    suites        = ["nowhere.hcl"]
    on_failure    = "explode"
    ssh_timeout   = "soon"
    tags          = { "assay:state" = "gold" }
    temporary_security_group_source_cidrs = ["10.0.0.0/99"]
"#;
    let template = crate::support::packer::SURROGATE.replace("@SETTINGS@", settings);
    scene.workshop.write("surrogate.pkr.hcl", &template);
    let before = scene.cloud.calls().len();
    let ami = format!("ami={}", scene.named);
    let invalid = scene.workshop.packer(&["validate", "-var", &ami, "surrogate.pkr.hcl"]).expect(1);
    for words in ["nowhere.hcl", "explode", "soon", "assay:state", "10.0.0.0/99"] {
        invalid.says(words);
    }
    assert_eq!(scene.cloud.calls().len(), before, "offline");
}

#[test]
fn protection_is_the_first_change_before_anything_is_launched() {
    let scene = scene();
    let second = scene.cloud.own_image("light", "eu-west-1", "under-test-too");
    let before = scene.cloud.calls().len();
    scene.workshop.build_surrogate(&format!("eu-west-1:{second},{}", scene.named), LIGHT).expect(0);
    let calls = scene.cloud.calls();
    let reads = |action: &str| action.starts_with("Describe") || action.starts_with("Get");
    let mut changes: Vec<&str> = calls[before..]
        .iter()
        .map(|call| call["action"].as_str().expect("an action"))
        .filter(|action| !reads(action))
        .collect();
    assert!(changes.contains(&"RunInstances"), "{changes:?}");
    let rest = changes.split_off(2);
    assert_eq!(changes, ["EnableImageDeregistrationProtection"; 2], "then {rest:?}");
    assert_eq!(rest.last(), Some(&"DisableImageDeregistrationProtection"), "and it is the last to go: {rest:?}");
}

/// A command whose answer holds what a terminal obeys: a title, colours, a carriage return, a right-to-left override, a C1 control, NUL, DEL, and bytes
/// that are no UTF-8.
const HOSTILE_SUITE: &str = r#"suite "light" {
  command "printf 'bad\\033]0;owned\\007\\033[31m\\015\\342\\200\\256\\302\\233\\000\\177\\377]]><x>&\\n'" {
    exit-status = 0
    stdout      = ["harmless"]
  }
}
"#;

/// What must never stand raw in anything that people or programs read.
fn dangerous(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn nothing_that_a_host_sends_reaches_terminal_or_report_unescaped() {
    let scene = scene();
    scene.workshop.write("light.hcl", HOSTILE_SUITE);
    let red = scene.workshop.build_surrogate(&scene.named, LIGHT).expect(1);
    let mut seen = vec![("Packer's output".to_owned(), red.text.clone())];
    for entry in std::fs::read_dir(scene.workshop.path().join("build/reports")).expect("reports") {
        let path = entry.expect("an entry").path();
        let text = String::from_utf8(std::fs::read(&path).expect("a report")).expect("a report is UTF-8");
        seen.push((path.display().to_string(), text));
    }
    seen.push(("the manifest".to_owned(), scene.workshop.read("build/manifest.json")));
    assert!(seen.len() >= 5, "output, JUnit, JSON, text and manifest");
    let telling = seen.iter().filter(|(_, text)| text.contains("\\x1b]0;owned")).count();
    assert!(telling >= 3, "the answer is shown, escaped:\n{}", red.text);
    for (name, text) in &seen {
        let raw: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| dangerous(*c)).collect();
        assert_eq!(raw, [], "{name}:\n{text:?}");
    }
}

#[test]
fn a_passed_ami_that_could_not_be_recorded_stays_protected_and_the_build_is_red() {
    let scene = scene();
    scene.workshop.write("build/manifest.json", "somebody's notes");
    let red = scene.workshop.build_surrogate(&scene.named, LIGHT).expect(1);
    red.says("manifest.json");
    assert!(!scene.destroyed());
    let image = scene.cloud.image(&scene.ami);
    assert_eq!(image["protected"], true, "{image}");
    scene.cloud.wait_until_clean(10);
}

#[test]
fn tags_that_ec2_refuses_leave_a_passed_ami_protected_and_the_build_red() {
    let scene = scene();
    scene.cloud.faults(json!([{ "action": "CreateTags", "times": 1000, "kind": "error", "code": "UnauthorizedOperation", "status": 403, "message": "not for you" }]));
    scene.workshop.build_surrogate(&scene.named, LIGHT).expect(1).says("tags");
    assert!(!scene.destroyed());
    let image = scene.cloud.image(&scene.ami);
    assert_eq!(image["protected"], true, "{image}");
    scene.cloud.wait_until_clean(10);
}
