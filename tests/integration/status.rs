//! `assay status` from outside: the real program, a real repository, the mini cloud. Differences are planted by boto3, as a person or another tool would.

use std::process::{Command, Output};

use assay_model::{AmiRecord, ImageState};
use serde_json::{Value, json};

use crate::support::{
    cloud::Cloud,
    desk::{Build, Desk, ago, run},
    repository::git_environment,
    tools,
};

const EAST: &str = "us-east-1";
const WEST: &str = "eu-west-1";
/// Calls that look only.
const LOOKING: [&str; 4] = ["Describe", "Get", "List", "AssumeRole"];

struct Scene {
    cloud: Cloud,
    desk: Desk,
    /// Gold in two regions, vetted, and an AMI that git does not know.
    east: String,
    west: String,
    vetted: String,
    stranger: String,
    other: String,
}

/// A repository whose lock says that two AMIs are gold and one is vetted. No AMI has a tag yet.
fn scene() -> Scene {
    let cloud = Cloud::start();
    let other = {
        let accounts = cloud.accounts();
        cloud.account(&accounts[1]).to_owned()
    };
    let config = format!(
        "owner = \"github.com/example/images\"\nimage \"base\" {{\n  inputs  = [\"packer/**\"]\n  regions = [\"{EAST}\", \"{WEST}\"]\n  distribution {{\n    ami_users     = [\"{other}\"]\n    ssm_parameter = \"/images/base/{{architecture}}\"\n  }}\n  projection \"infra/base.auto.tfvars\" {{\n    variable = \"base_ami\"\n    region   = \"{EAST}\"\n    architecture = \"x86_64\"\n  }}\n}}\n"
    );
    let desk = Desk::new(&config, &[("packer/base.pkr.hcl", "# template\n"), ("infra/base.auto.tfvars", "# ids\n")]);
    let (plan, _) = desk.json(&["plan"]);
    let digest = plan["images"][0]["source_digest"].as_str().expect("a digest").to_owned();
    let [east, west, vetted, stranger] = [(EAST, "gold"), (WEST, "gold-west"), (EAST, "vetted"), (EAST, "stranger")]
        .map(|(region, name)| make(&cloud, region, name));
    let gold = Build { amis: vec![east.clone(), west.clone()], ..Build::new("base", 1, &digest, 2) };
    let next = Build { amis: vec![vetted.clone()], ..Build::new("base", 2, &digest, 1) };
    desk.lock("base", &[(&gold, ImageState::Vetted, 2), (&gold, ImageState::Gold, 2), (&next, ImageState::Vetted, 1)]);
    desk.write("infra/base.auto.tfvars", &format!("# ids\nbase_ami = \"{}\"\n", east.ami.id));
    desk.push("Gold");
    let id = |record: &AmiRecord| record.ami.id.to_string();
    Scene { east: id(&east), west: id(&west), vetted: id(&vetted), stranger: id(&stranger), cloud, desk, other }
}

fn make(cloud: &Cloud, region: &str, name: &str) -> AmiRecord {
    let created_at = ago(3).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    let wish =
        json!({ "image": cloud.stock("light", region), "region": region, "name": name, "created_at": created_at });
    let made = cloud.control("copy", &wish);
    let text = |key: &str| made[key].as_str().expect("an id").to_owned();
    AmiRecord {
        ami: format!("{region}:{}", text("image")).parse().expect("an AMI"),
        architecture: "x86_64".parse().expect("an architecture"),
        name: name.to_owned(),
        owner: cloud.account("main").parse().expect("an account"),
        created_at,
        snapshots: vec![text("snapshot")],
    }
}

impl Scene {
    fn status(&self, arguments: &[&str]) -> Output {
        let mut command = self.desk.command(&[&["status"], arguments].concat());
        command.envs(self.cloud.environment("main")).envs(git_environment(self.desk.path("").as_path()));
        command.output().expect("assay runs")
    }

    /// The kinds of all differences, the exit code, and the document.
    fn look(&self, arguments: &[&str]) -> (Vec<String>, i32, Value) {
        let output = self.status(&[arguments, &["--format", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let document: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        let drift = document["images"][0]["drift"].as_array().expect("a list");
        let kinds = drift.iter().map(|one| one["kind"].as_str().expect("a kind").to_owned()).collect();
        (kinds, output.status.code().expect("an exit code"), document)
    }

    #[track_caller]
    fn finds(&self, arguments: &[&str], kinds: &[&str], code: i32) -> Value {
        let (found, exit, document) = self.look(arguments);
        assert_eq!(
            (found, exit),
            (kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>(), code),
            "{document:#}"
        );
        document
    }

    /// Does something in the cloud with boto3: `east` and `west` are clients, `ids` holds the AMIs.
    fn boto(&self, code: &str) {
        let head = "import json, sys, boto3\nids = json.loads(sys.argv[1])\neast, west = (boto3.client('ec2', region_name=name) for name in ('us-east-1', 'eu-west-1'))\nssm = boto3.client('ssm', region_name='us-east-1')\ndef strip(client, id, tags):\n    client.delete_tags(Resources=[id], Tags=[dict(Key=tag['Key']) for tag in tags])\n";
        let ids = json!({ "east": self.east, "west": self.west, "vetted": self.vetted, "stranger": self.stranger, "other": self.other, "run": run(1).to_string() });
        let output = Command::new(tools::python())
            .args(["-c", &format!("{head}{code}"), &ids.to_string()])
            .envs(self.cloud.environment("main"))
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{code}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The names of the calls since the first `before`.
    fn calls(&self, before: usize) -> Vec<String> {
        let name = |call: &Value| call["action"].as_str().unwrap_or_default().to_owned();
        self.cloud.calls().iter().skip(before).map(name).collect()
    }
}

/// What is planted, what is found.
const MENDABLE: &[(&str, &[&str])] = &[
    (
        "east.create_tags(Resources=[ids['east']], Tags=[dict(Key='assay:state', Value='candidate'), dict(Key='assay:run', Value='x')])",
        &["retagged", "retagged"],
    ),
    ("west.delete_tags(Resources=[ids['west']], Tags=[dict(Key='assay:managed')])", &["retagged"]),
    (
        "snapshot = east.describe_images(ImageIds=[ids['east']])['Images'][0]['BlockDeviceMappings'][0]['Ebs']['SnapshotId']\nstrip(east, snapshot, east.describe_snapshots(SnapshotIds=[snapshot])['Snapshots'][0]['Tags'])",
        &["snapshot-unmarked"],
    ),
    ("east.create_tags(Resources=[ids['vetted']], Tags=[dict(Key='assay:state', Value='gold')])", &["retagged"]),
    ("east.disable_image_deregistration_protection(ImageId=ids['east'])", &["unprotected"]),
    (
        "west.modify_image_attribute(ImageId=ids['west'], LaunchPermission={'Add': [{'UserId': '666666666666'}]})",
        &["shared-beyond"],
    ),
    (
        "west.modify_image_attribute(ImageId=ids['west'], LaunchPermission={'Remove': [{'UserId': ids['other']}]})",
        &["not-shared"],
    ),
    (
        "ssm.put_parameter(Name='/images/base/x86_64', Value=ids['vetted'], Type='String', Overwrite=True)",
        &["parameter"],
    ),
];

#[test]
fn every_planted_difference_is_found_and_repaired_and_the_second_look_is_green() {
    let scene = scene();
    // Nothing followed the lock yet, as after a promotion that was killed right after its push.
    let (_, code, document) = scene.look(&[]);
    assert_eq!(code, 2, "{document:#}");
    let before = scene.cloud.calls().len();
    scene.look(&[]);
    let calls = scene.calls(before);
    assert!(calls.iter().all(|call| LOOKING.iter().any(|word| call.starts_with(word))), "status only looks: {calls:?}");
    let before = scene.cloud.calls().len();
    let repaired = scene.finds(&["--repair"], &[], 0);
    assert!(!repaired["repaired"].as_array().expect("a list").is_empty());
    let forbidden = ["RunInstances", "DeregisterImage", "DeleteSnapshot", "DisableImage", "CopyImage"];
    let calls = scene.calls(before);
    assert!(!calls.iter().any(|call| forbidden.contains(&call.as_str())), "{calls:?}");
    assert_eq!(scene.cloud.image(&scene.east)["tags"]["assay:state"], "gold");
    assert_eq!(scene.cloud.image(&scene.west)["protected"], true);
    let green = scene.finds(&[], &[], 0);
    assert_eq!(green["images"][0]["gold"]["run"], run(1).to_string().as_str());
    assert_eq!(green["images"][0]["builds"][0]["state"], "vetted");

    for (code, kinds) in MENDABLE {
        scene.boto(code);
        let found = scene.finds(&[], kinds, 2);
        assert!(found["images"][0]["drift"][0]["repairable"].as_bool().expect("said"), "{code}");
        scene.finds(&["--repair"], &[], 0);
        scene.finds(&[], &[], 0);
    }
    let before = scene.cloud.calls().len();
    scene.finds(&["--repair"], &[], 0);
    let calls = scene.calls(before);
    assert!(calls.iter().all(|call| LOOKING.iter().any(|word| call.starts_with(word))), "nothing to mend: {calls:?}");
}

#[test]
fn what_cannot_be_repaired_is_said_with_the_cure_and_stays_red() {
    let scene = scene();
    scene.finds(&["--repair"], &[], 0);
    scene.boto("east.modify_image_attribute(ImageId=ids['east'], LaunchPermission={'Add': [{'Group': 'all'}]})");
    scene.finds(&["--repair"], &["public"], 2);
    let text = String::from_utf8_lossy(&scene.status(&[]).stdout).into_owned();
    assert!(text.contains("cure: aws ec2 modify-image-attribute --launch-permission 'Remove=[{Group=all}]'"), "{text}");
    scene.boto("east.modify_image_attribute(ImageId=ids['east'], LaunchPermission={'Remove': [{'Group': 'all'}]})");

    scene.boto(
        "east.create_tags(Resources=[ids['stranger']], Tags=[dict(Key=k, Value=v) for k, v in {'assay:managed': 'true', 'assay:image': 'base', 'assay:state': 'gold', 'assay:run': ids['run']}.items()])",
    );
    let found = scene.finds(&["--repair"], &["planted"], 2);
    assert_eq!(found["images"][0]["drift"][0]["ami"], format!("{EAST}:{}", scene.stranger).as_str());
    scene.boto("strip(east, ids['stranger'], east.describe_images(ImageIds=[ids['stranger']])['Images'][0]['Tags'])");
    scene.finds(&[], &[], 0);

    scene.boto(
        "west.disable_image_deregistration_protection(ImageId=ids['west'])\nwest.deregister_image(ImageId=ids['west'])",
    );
    let found = scene.finds(&["--repair"], &["gone"], 2);
    assert!(found["images"][0]["drift"][0]["cure"].as_str().expect("a cure").contains("assay rollback"), "{found:#}");
    scene.finds(&["--region", EAST], &[], 0);

    scene.desk.write("infra/base.auto.tfvars", "base_ami = \"ami-0abcdef1234567890\"\n");
    scene.desk.push("By hand");
    let found = scene.finds(&["--region", EAST], &["projection"], 2);
    assert!(found["images"][0]["drift"][0]["message"].as_str().expect("words").contains("infra/base.auto.tfvars"));
}

#[test]
fn a_region_that_does_not_answer_is_named_and_is_no_green() {
    let scene = scene();
    scene.finds(&["--repair"], &[], 0);
    scene.cloud.faults(
        json!([{ "action": "DescribeSnapshots", "code": "UnauthorizedOperation", "times": 1, "region": WEST }]),
    );
    let output = scene.status(&["--region", WEST]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("eu-west-1: cannot be told: DescribeSnapshots"), "{said}");
    scene.cloud.clear_faults();
    scene.finds(&[], &[], 0);
}
