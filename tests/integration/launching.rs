//! Where and as what test instances are launched: several types, no room, network by filter; against EC2's API as the mini cloud serves it.

use serde_json::{Value, json};

use crate::{
    build::LIGHT_SUITE,
    support::{cloud::Cloud, packer::Workshop},
};

struct Scene {
    cloud: Cloud,
    workshop: Workshop,
    ami: String,
}

/// A cloud with one light AMI of ours, and an assay.hcl with these lines in `launch`.
fn scene(launch: &str) -> Scene {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let config = format!(
        "image \"base\" {{\n  suites {{\n    candidate = [\"light.hcl\"]\n  }}\n  ssh {{\n    username = \"debian\"\n  }}\n  \
         launch {{\n{launch}\n  }}\n}}\n"
    );
    workshop.write("assay.hcl", &config);
    let ami = cloud.own_image("light", "us-east-1", "launching");
    Scene { cloud, workshop, ami }
}

impl Scene {
    /// Validates the AMI; the exit code and the JSON on stdout.
    fn validate(&self, more: &[&str]) -> (Option<i32>, Value) {
        let named = format!("us-east-1:{}", self.ami);
        let output = self
            .workshop
            .assay(&[&["validate", "--image", "base", "--ami", &named, "--format", "json"], more].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let result = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
        });
        (output.status.code(), result)
    }

    /// The parameters of every RunInstances, in order.
    fn launches(&self) -> Vec<Value> {
        let calls = self.cloud.calls().into_iter().filter(|call| call["action"] == "RunInstances");
        calls.map(|call| call["parameters"].clone()).collect()
    }

    fn count(&self, action: &str) -> usize {
        self.cloud.calls().iter().filter(|call| call["action"] == action).count()
    }
}

/// The different values of one parameter.
fn distinct(launches: &[Value], parameter: &str) -> usize {
    launches.iter().map(|one| one[parameter].to_string()).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn every_type_is_tested_one_at_a_time_and_the_ami_is_stamped_once() {
    let scene = scene("    instance_types = [\"t3.small\", \"t3.large\"]");
    let (code, result) = scene.validate(&["--max-parallel", "1"]);
    assert_eq!((code, &result["verdict"]), (Some(0), &json!("passed")), "{result:#}");
    let targets: Vec<&Value> = result["targets"].as_array().expect("targets").iter().collect();
    let named: Vec<String> =
        ["t3.large", "t3.small"].iter().map(|size| format!("us-east-1:{}/{size}", scene.ami)).collect();
    assert_eq!(targets.iter().map(|t| t["target"].as_str().expect("a name")).collect::<Vec<_>>(), named);
    for (target, size) in targets.iter().zip(["t3.large", "t3.small"]) {
        assert_eq!((&target["instance_type"], &target["verdict"]), (&json!(size), &json!("passed")), "{target:#}");
        assert!(target["availability_zone"].as_str().is_some_and(|z| z.starts_with("us-east-1")), "{target:#}");
    }
    assert_eq!(scene.cloud.image(&scene.ami)["tags"]["assay:state"], "candidate");
    // What is only asked beforehand is no launch and no end.
    let order = scene.cloud.calls().into_iter().filter(|call| call["parameters"]["DryRun"] != "true");
    let order: Vec<String> = order.map(|call| call["action"].to_string()).collect();
    let at = |action: &str, nth: usize| {
        order.iter().enumerate().filter(|(_, a)| a.contains(action)).nth(nth).map(|(at, _)| at).expect("a call")
    };
    assert!(at("TerminateInstances", 0) < at("RunInstances", 1), "one is ended before the next is launched: {order:?}");
    scene.cloud.wait_until_clean(20);
}

#[test]
fn one_type_of_several_that_finds_no_room_keeps_the_ami_from_passing() {
    let scene = scene("    max_parallel = 1");
    let faults =
        json!([{ "action": "RunInstances", "code": "InsufficientInstanceCapacity", "after": 1, "times": 100 }]);
    scene.cloud.faults(faults);
    let (code, result) = scene.validate(&["--instance-type", "t3.small", "--instance-type", "t3.large"]);
    assert_eq!((code, &result["verdict"]), (Some(3), &json!("undecided")), "{result:#}");
    assert_eq!(result["targets"][0]["undecided"]["kind"], "no_capacity", "{result:#}");
    assert_eq!(result["targets"][1]["verdict"], "passed", "{result:#}");
    assert_eq!(scene.cloud.image(&scene.ami)["tags"]["assay:state"], "untested");
    scene.cloud.wait_until_clean(20);
}

#[test]
fn no_room_is_answered_once_and_tried_in_the_next_zone_under_a_new_token() {
    let scene = scene("");
    scene.cloud.faults(json!([{ "action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 2 }]));
    let (code, result) = scene.validate(&[]);
    assert_eq!(code, Some(0), "{result:#}");
    let launches = scene.launches();
    assert_eq!(launches.len(), 3, "the SDK does not ask again: {launches:#?}");
    assert_eq!(distinct(&launches, "ClientToken"), 3, "{launches:#?}");
    assert!(launches[0]["SubnetId"].is_null(), "at first EC2 chooses: {launches:#?}");
    assert_eq!(distinct(&launches, "SubnetId"), 3, "{launches:#?}");
    let refused = result["targets"][0]["refused_launches"].as_array().expect("a list");
    assert_eq!(refused.len(), 2, "{refused:#?}");
    assert!(refused[1]["availability_zone"].as_str().is_some_and(|z| z.starts_with("us-east-1")), "{refused:#?}");
    scene.cloud.wait_until_clean(20);
}

#[test]
fn a_network_is_found_by_filters_and_its_subnets_and_types_are_tried_in_turn() {
    let scene = scene(
        r#"    instance_type = "t3.small"
    instance_type_fallbacks = ["t3a.small"]
    vpc_filter {
      filters = { "is-default" = "true" }
    }
    subnet_filter {
      filters   = { "availability-zone" = "us-east-1a, us-east-1b" }
      most_free = true
    }
    security_group_filter {
      filters = { "group-name" = "default" }
    }"#,
    );
    // A default group admits only its own members.
    scene.cloud.control("admit", &json!({ "region": "us-east-1" }));
    scene.cloud.faults(json!([
        { "action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 1 },
        { "action": "RunInstances", "code": "Unsupported", "times": 1 },
    ]));
    let (code, result) = scene.validate(&[]);
    assert_eq!(code, Some(0), "{result:#}");
    assert_eq!(result["targets"][0]["instance_type"], "t3a.small");
    let launches = scene.launches();
    let types: Vec<&Value> = launches.iter().map(|one| &one["InstanceType"]).collect();
    assert_eq!(types, ["t3.small", "t3.small", "t3a.small"]);
    assert_eq!(distinct(&launches, "SubnetId"), 2, "both zones, the better one again for the next type: {launches:#?}");
    assert_eq!(launches[0]["SubnetId"], launches[2]["SubnetId"]);
    assert_eq!(scene.count("CreateSecurityGroup"), 0);
    scene.cloud.wait_until_clean(20);
}

#[test]
fn a_filter_that_matches_several_or_none_is_said_before_anything_is_made() {
    let scene = scene("    subnet_filter {\n      filters = { \"default-for-az\" = \"true\" }\n    }");
    let (code, result) = scene.validate(&[]);
    let undecided = &result["targets"][0]["undecided"];
    assert_eq!((code, &undecided["kind"]), (Some(3), &json!("configuration")), "{result:#}");
    assert!(undecided["reason"].as_str().is_some_and(|r| r.contains("most_free")), "{undecided}");
    let none = "launch {\n    subnet_filter {\n      filters = { \"tag:Class\" = \"nosuch\" }\n    }";
    let config = std::fs::read_to_string(scene.workshop.path().join("assay.hcl")).expect("assay.hcl");
    let (head, _) = config.split_once("launch {").expect("a block");
    scene.workshop.write("assay.hcl", &format!("{head}{none}\n  }}\n}}\n"));
    let (code, result) = scene.validate(&[]);
    let undecided = &result["targets"][0]["undecided"];
    assert_eq!(code, Some(3), "{result:#}");
    assert!(undecided["reason"].as_str().is_some_and(|r| r.contains("tag:Class = \"nosuch\"")), "{undecided}");
    assert_eq!(scene.count("ImportKeyPair") + scene.count("CreateSecurityGroup") + scene.count("RunInstances"), 0);
}
