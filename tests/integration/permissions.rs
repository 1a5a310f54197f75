//! The policies of `assay iam`, held against what really happens: every API call that the real flows make on the mini cloud is allowed to its role, requests that
//! would do harm are denied, and each statement is needed for one or the other.

mod abuses;
mod evaluator;
mod requests;

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    build::last_ami,
    support::{cloud::Cloud, packer::Workshop, tools},
};
use evaluator::{Refusal, decide};

/// One recorded flow: the role that plays it, its policy as printed, the calls that it made.
struct Flow {
    role: &'static str,
    policy: Value,
    calls: Vec<Value>,
}

/// The regions of the recorded flows that this file plays itself.
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// The policy that `assay iam` prints in `folder` for these regions.
fn printed(folder: &Path, role: &str, account: &str, regions: &[&str], vpcs: &[&str], more: &[&str]) -> Value {
    let mut command = Command::new(tools::assay());
    command.current_dir(folder).args(["iam", "--role", role, "--account", account, "--region"]).args(regions);
    if ["builder", "tester"].contains(&role) {
        command.arg("--vpc").args(vpcs);
    }
    if role == "builder" {
        command.args(["--source-owner", "136693071363"]);
    }
    let output = command.args(more).args(["--format", "json"]).output().expect("assay runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The policy for the mini cloud's usual account and the default VPCs that its calls went to.
fn policy_of(workshop: &Workshop, cloud: &Cloud, role: &str) -> Value {
    let calls = cloud.calls();
    let vpcs: BTreeSet<&str> = calls.iter().filter_map(|c| c["resources"]["default-vpc"]["id"].as_str()).collect();
    let account = calls.iter().find_map(|c| c["account"].as_str()).expect("an account");
    printed(workshop.path(), role, account, &REGIONS, &vpcs.into_iter().collect::<Vec<_>>(), &[])
}

/// The first call that a role with this policy may not make.
fn first_denied(policy: &Value, calls: &[Value]) -> Refusal {
    for line in calls {
        for request in requests::of(line).unwrap_or_else(|unknown| panic!("{unknown}")) {
            let refusal = decide(std::slice::from_ref(policy), &request).unwrap_or_else(|unknown| panic!("{unknown}"));
            if let Some(why) = refusal {
                return Some(format!("call {} ({}): {why}", line["n"], line["action"]));
            }
        }
    }
    None
}

/// What the policy that `assay iam --role ROLE` prints in `folder` denies of these calls, call by call.
pub(crate) fn denied(folder: &Path, role: &str, calls: &[Value]) -> Vec<String> {
    let account = calls.iter().find_map(|call| call["account"].as_str()).expect("an account");
    let regions: BTreeSet<&str> = calls.iter().filter_map(|call| call["region"].as_str()).collect();
    let policy = printed(folder, role, account, &regions.into_iter().collect::<Vec<_>>(), &[], &[]);
    calls.iter().filter_map(|call| first_denied(&policy, std::slice::from_ref(call))).collect()
}

/// The flows, on one mini cloud: a build with a copy to a second region, a validation that boots the same instance in several ways, a sweep that finds
/// something.
fn record() -> Vec<Flow> {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    let mut flows = Vec::new();
    let mut seen = 0;
    let mut flow = |role: &'static str, workshop: &Workshop| {
        let calls: Vec<Value> = cloud.calls().split_off(seen);
        seen += calls.len();
        assert!(!calls.is_empty(), "the {role} made no call");
        flows.push(Flow { role, policy: policy_of(workshop, &cloud, role), calls });
    };
    workshop.build_base(&["-var", "ssh_username=debian", "-var", "ami_regions=[\"eu-west-1\"]"]).expect(0);
    flow("builder", &workshop);

    let ami = last_ami(&workshop);
    let ami = ami.split(',').next().expect("one").rsplit(':').next().expect("an id").to_owned();
    let ami = ["us-east-1", "eu-west-1"]
        .iter()
        .find(|region| cloud.image(&ami)["region"] == **region)
        .map(|region| format!("{region}:{ami}"))
        .expect("the AMI is in one of them");
    workshop.write("boots.hcl", BOOTS);
    let tested =
        workshop.assay(&["validate", "--ami", &ami, "--no-stamp", "--suite", "boots.hcl", "--ssh-username", "debian"]);
    assert_eq!(tested.status.code(), Some(0), "{}", String::from_utf8_lossy(&tested.stderr));
    flow("tester", &workshop);

    leave_behind(&cloud, &workshop);
    let left = cloud.calls().len();
    let swept = workshop.assay(&["sweep", "--owner", "left", "--yes", "--region", "us-east-1"]);
    assert_eq!(
        swept.status.code(),
        Some(0),
        "{}{}",
        String::from_utf8_lossy(&swept.stdout),
        String::from_utf8_lossy(&swept.stderr)
    );
    let calls = cloud.calls().split_off(left);
    flows.push(Flow { role: "sweeper", policy: policy_of(&workshop, &cloud, "sweeper"), calls });
    cloud.wait_until_clean(30);
    flows
}

/// A suite that has the instance rebooted, and stopped and started.
const BOOTS: &str = r#"suite "boots" {
  command "true" {
    exit-status = 0
  }
  reboot "soft" {
    returned = true
  }
  reboot "stop-start" {
    returned = true
  }
}
"#;

/// An instance, a key pair and a group of a run that nobody will end, expired long ago.
fn leave_behind(cloud: &Cloud, workshop: &Workshop) {
    let script = r#"
import boto3, sys, time
ec2 = boto3.client("ec2", region_name="us-east-1")
run = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
name = f"assay-{run.lower()}-x"
def tags(kind):
    pairs = {"assay:managed": "true", "assay:run": run, "assay:owner": "left", "assay:image": "base", "assay:expires-at": "2026-01-01T00:00:00Z"}
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in pairs.items()]}]
ec2.create_key_pair(KeyName=f"{name}-1", TagSpecifications=tags("key-pair"))
group = ec2.create_security_group(GroupName=f"{name}-2", Description="x", TagSpecifications=tags("security-group"))
ec2.get_waiter("security_group_exists").wait(GroupIds=[group["GroupId"]], WaiterConfig={"Delay": 1})
ec2.get_waiter("key_pair_exists").wait(KeyNames=[f"{name}-1"], WaiterConfig={"Delay": 1})
ec2.run_instances(ImageId=sys.argv[1], MinCount=1, MaxCount=1, InstanceType="t3.small", KeyName=f"{name}-1", ClientToken=f"{name}-3",
    SecurityGroupIds=[group["GroupId"]], TagSpecifications=tags("instance") + tags("volume"))
while not ec2.describe_instances(Filters=[{"Name": "tag:assay:run", "Values": [run]}])["Reservations"]:
    time.sleep(0.2)
"#;
    workshop.write("leave.py", script);
    let image = cloud.own_image("light", "us-east-1", "left-behind");
    let made =
        workshop.command(&tools::mini_cloud()).args(["python", "leave.py", &image]).output().expect("python runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn every_call_of_the_real_flows_is_allowed_to_its_role_and_no_statement_is_idle() {
    let mut idle = Vec::new();
    for flow in record() {
        assert_eq!(first_denied(&flow.policy, &flow.calls), None, "{}", flow.role);
        let statements = flow.policy["Statement"].as_array().expect("statements");
        // What is written down for another network or with keys says nothing of this policy.
        let mut more = abuses::written(flow.role);
        more.retain(|line| first_denied(&flow.policy, std::slice::from_ref(line)).is_none());
        for statement in statements.iter().filter(|statement| statement["Effect"] == "Allow") {
            let without: Vec<&Value> = statements.iter().filter(|other| *other != statement).collect();
            let without = json!({ "Version": "2012-10-17", "Statement": without });
            if first_denied(&without, &flow.calls).is_none() && first_denied(&without, &more).is_none() {
                idle.push(format!("{}: {}", flow.role, statement["Sid"]));
            }
        }
    }
    assert_eq!(idle, [""; 0], "without these statements every call would still be allowed");
}

/// A policy with everything in it that a configuration can ask for.
fn full(role: &str) -> Value {
    let folder = TempDir::with_prefix("assay-iam-").expect("a folder");
    std::fs::write(folder.path().join("assay.hcl"), abuses::CONFIGURATION).expect("written");
    let key = format!("arn:aws:kms:us-east-1:{}:key/{}", abuses::ACCOUNT, abuses::KEY);
    let more: Vec<&str> = if role == "tester" { vec!["--signing-key", &key] } else { Vec::new() };
    printed(folder.path(), role, abuses::ACCOUNT, &REGIONS, &[abuses::VPC], &more)
}

#[test]
fn what_would_do_harm_is_denied_by_name() {
    let harmful = abuses::all();
    assert!(harmful.len() >= 30, "{} abuses", harmful.len());
    for role in ["builder", "tester", "promoter", "sweeper"] {
        let policy = full(role);
        assert_eq!(first_denied(&policy, &abuses::written(role)), None, "{role}: what is written down as needed");
        for abuse in harmful.iter().filter(|abuse| abuse.role == role) {
            let denied = first_denied(&policy, std::slice::from_ref(&abuse.line));
            assert!(denied.is_some(), "{role}: {} is allowed", abuse.name);
        }
    }
}

/// The promoter's statements: each is needed by something that promotion does. What KMS is asked on EC2's behalf stands in no log of ours.
#[test]
fn no_statement_of_the_promoter_is_idle() {
    let policy = full("promoter");
    let statements = policy["Statement"].as_array().expect("statements");
    for statement in
        statements.iter().filter(|statement| statement["Sid"] != "UseKey" && statement["Sid"] != "GrantKey")
    {
        let kept: Vec<&Value> = statements.iter().filter(|other| *other != statement).collect();
        let without = json!({ "Version": "2012-10-17", "Statement": kept });
        assert!(first_denied(&without, &abuses::written("promoter")).is_some(), "{} is idle", statement["Sid"]);
    }
}

/// A condition on a key that EC2 does not offer never holds: the statement would allow nothing in a real account, whatever an evaluator says.
#[test]
fn every_condition_is_on_a_key_that_ec2_offers_there() {
    let reference = requests::reference();
    let texts = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    };
    let mut judged = 0;
    for role in ["builder", "tester", "promoter", "sweeper"] {
        let policy = full(role);
        for statement in policy["Statement"].as_array().expect("statements") {
            for action in texts(&statement["Action"]).iter().filter_map(|action| action.strip_prefix("ec2:")) {
                assert!(!reference[action].is_null(), "{action} is not in tests/fixtures/iam/ec2.json");
                for resource in texts(&statement["Resource"]) {
                    let kind = resource.rsplit(':').next().and_then(|last| last.split('/').next()).expect("a kind");
                    if reference[action]["resources"][kind].is_null() {
                        continue;
                    }
                    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
                        for key in keys.as_object().expect("keys").keys() {
                            let optional = operator.ends_with("IfExists") || operator == "Null";
                            let offered = requests::offers(&reference, action, kind, key);
                            assert!(
                                optional || offered,
                                "{role} {}: {operator} {key} for {action} on {kind}",
                                statement["Sid"]
                            );
                            judged += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(judged > 100, "{judged} conditions were looked at");
}

/// Somebody attaches `ec2:*` to a role by mistake: what the explicit Denies hold is still held, and each of them holds something.
#[test]
fn each_deny_holds_where_everything_else_is_allowed() {
    let everything = json!({ "Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*" });
    for role in ["builder", "sweeper"] {
        let policy = full(role);
        let statements = policy["Statement"].as_array().expect("statements");
        let with = |left_out: Option<&Value>| {
            let kept = statements.iter().filter(|other| Some(*other) != left_out).chain([&everything]);
            json!({ "Version": "2012-10-17", "Statement": kept.collect::<Vec<_>>() })
        };
        let held: Vec<_> = abuses::all().into_iter().filter(|abuse| abuse.role == role && abuse.explicit).collect();
        assert!(!held.is_empty(), "{role}");
        for abuse in &held {
            let denied = first_denied(&with(None), std::slice::from_ref(&abuse.line));
            assert!(denied.is_some(), "{role}: {} is allowed together with ec2:*", abuse.name);
        }
        for deny in statements.iter().filter(|statement| statement["Effect"] == "Deny") {
            let passes =
                |abuse: &&abuses::Abuse| first_denied(&with(Some(deny)), std::slice::from_ref(&abuse.line)).is_none();
            assert!(
                held.iter().any(|abuse| passes(&abuse)),
                "{role}: without {} every abuse is still denied",
                deny["Sid"]
            );
        }
    }
}
