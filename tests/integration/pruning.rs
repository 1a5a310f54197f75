//! `assay prune` against 200 images with decoys in use: exactly the right ones go, in two steps or at once, and nothing that depends on an answer that did not
//! come.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
};

use assay_ledger::lock_file;
use assay_model::{
    AmiRecord, AmiRef, Architecture, Candidate, Digest, ImageName, ImageState, Provenance, RunId, Verdict,
    candidate::CandidateAmi,
    lock::{Lock, LockCopy, LockEntry},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::permissions;
use crate::support::{
    cloud::Cloud,
    repository::{Repository, git_environment},
    tools,
};

const EAST: &str = "us-east-1";
const WEST: &str = "eu-west-1";
const OWNER: &str = "github.com/example/images";
/// The calls that change something.
const CHANGES: [&str; 9] = [
    "CreateTags",
    "EnableImageDeprecation",
    "DisableImageDeprecation",
    "DisableImage",
    "EnableImage",
    "DisableImageDeregistrationProtection",
    "ModifyImageAttribute",
    "DeregisterImage",
    "DeleteSnapshot",
];
/// The calls by which each region tells who uses an AMI; without any one of them nothing is known ("Estate::uses_of_images").
const LISTINGS_OF_USES: [&str; 7] = [
    "DescribeInstances",
    "DescribeLaunchTemplates",
    "DescribeLaunchConfigurations",
    "DescribeAutoScalingGroups",
    "DescribeFleets",
    "DescribeSpotFleetRequests",
    "DescribeSpotInstanceRequests",
];
const CONFIG: &str = r#"owner = "github.com/example/images"

image "base" {
  retention {
    keep_releases = 2
    keep_days     = 30
    state "rejected" {
      keep_releases = 1
      keep_days     = 7
    }
  }
}

image "app" {
  parent = "base"
}
"#;

/// Puts AMIs to use in every way that EC2 lists: the arguments are a JSON object of AMI ids by use.
const USERS: &str = r#"import json, sys, boto3
want = json.loads(sys.argv[1])
ec2, scaling, ssm = boto3.client("ec2"), boto3.client("autoscaling"), boto3.client("ssm")
run = dict(MinCount=1, MaxCount=1, InstanceType="t3.small")
ec2.run_instances(ImageId=want["running"], **run)
stopped = ec2.run_instances(ImageId=want["stopped"], **run)["Instances"][0]["InstanceId"]
ec2.get_waiter("instance_running").wait(InstanceIds=[stopped], WaiterConfig={"Delay": 1})
ec2.stop_instances(InstanceIds=[stopped])
ended = ec2.run_instances(ImageId=want["ended"], **run)["Instances"][0]["InstanceId"]
ec2.get_waiter("instance_exists").wait(InstanceIds=[ended], WaiterConfig={"Delay": 1})
ec2.terminate_instances(InstanceIds=[ended])
ec2.get_waiter("instance_terminated").wait(InstanceIds=[ended], WaiterConfig={"Delay": 1})
for number in range(20):
    ec2.create_launch_template(LaunchTemplateName=f"filler-{number}", LaunchTemplateData={"InstanceType": "t3.small"})
old = ec2.create_launch_template(LaunchTemplateName="old", LaunchTemplateData={"ImageId": want["old_version"]})
old = old["LaunchTemplate"]["LaunchTemplateId"]
for number in range(18):
    ec2.create_launch_template_version(LaunchTemplateId=old, LaunchTemplateData={"InstanceType": "t3.small"})
ec2.modify_launch_template(LaunchTemplateId=old, DefaultVersion="19")
ssm.put_parameter(Name="/images/pinned", Value=want["parameter"], Type="String", DataType="aws:ec2:image")
ec2.create_launch_template(LaunchTemplateName="pointer", LaunchTemplateData={"ImageId": "resolve:ssm:/images/pinned"})
scaling.create_launch_configuration(LaunchConfigurationName="lc", ImageId=want["configuration"], InstanceType="t3.small")
group = ec2.create_launch_template(LaunchTemplateName="group", LaunchTemplateData={"ImageId": want["group"], "InstanceType": "t3.small"})
scaling.create_auto_scaling_group(
    AutoScalingGroupName="asg", MinSize=0, MaxSize=0, DesiredCapacity=0, AvailabilityZones=["us-east-1a"],
    LaunchTemplate={"LaunchTemplateId": group["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"},
)
fleet = ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData={"InstanceType": "t3.small"})
template = {"LaunchTemplateId": fleet["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
capacity = dict(TotalTargetCapacity=0, DefaultTargetCapacityType="on-demand")
def make_fleet(image):
    configs = [{"LaunchTemplateSpecification": template, "Overrides": [{"ImageId": image, "InstanceType": "t3.small"}]}]
    return ec2.create_fleet(Type="maintain", TargetCapacitySpecification=capacity, LaunchTemplateConfigs=configs)["FleetId"]
make_fleet(want["fleet"])
spot = {"ImageId": want["spot_fleet"], "InstanceType": "t3.small"}
ec2.request_spot_fleet(SpotFleetRequestConfig=dict(
    IamFleetRole="arn:aws:iam::210987654321:role/fleet", TargetCapacity=0, SpotPrice="0.1", AllocationStrategy="lowestPrice", LaunchSpecifications=[spot]))
for image in want["shared"]:
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": want["other"]}]})
ec2.modify_image_attribute(ImageId=want["public"], LaunchPermission={"Add": [{"Group": "all"}]})
"#;

struct Scene {
    cloud: Cloud,
    folder: TempDir,
    base: Lock,
    app: Lock,
    count: usize,
    /// Those that must go, as `REGION:ID`.
    go: BTreeSet<String>,
    /// Shared ones that must only be deprecated.
    announced: BTreeSet<String>,
    snapshots: BTreeMap<String, String>,
}

fn ago(days: i64) -> String {
    let time = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * days + 1)).expect("a time");
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

struct Made {
    id: String,
    record: AmiRecord,
}

impl Scene {
    fn new() -> Self {
        let name = |text: &str| -> ImageName { text.parse().expect("a name") };
        Self {
            cloud: Cloud::start(),
            folder: TempDir::with_prefix("assay-prune-").expect("a folder"),
            base: Lock::new(name("base")),
            app: Lock::new(name("app")),
            count: 0,
            go: BTreeSet::new(),
            announced: BTreeSet::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// One AMI, `days` old, with the tags of `image`, `run` and `state` on itself and its snapshot, changed by `more` (a null takes a tag away).
    fn make(&mut self, region: &str, image: &str, run: RunId, state: &str, days: i64, more: Value) -> Made {
        self.count += 1;
        let mut tags = json!({
            "assay:managed": "true", "assay:owner": OWNER, "assay:image": image,
            "assay:run": run.to_string(), "assay:state": state,
        });
        for (key, value) in more["tags"].as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(tags.as_object_mut().expect("an object").remove(key)),
                value => tags[key] = value.clone(),
            }
        }
        let stock = self.cloud.stock("light", region);
        let (created_at, name) = (ago(days), format!("{image}-{:04}", self.count));
        let mut wish = json!({
            "image": stock, "region": region, "name": name, "created_at": created_at, "tags": tags,
        });
        for key in ["account", "architecture"] {
            if more[key].is_string() {
                wish[key] = more[key].clone();
            }
        }
        let made = self.cloud.control("copy", &wish);
        let text = |key: &str| made[key].as_str().expect("an id").to_owned();
        let (id, snapshot) = (text("image"), text("snapshot"));
        let reference: AmiRef = format!("{region}:{id}").parse().expect("a reference");
        self.snapshots.insert(reference.to_string(), snapshot.clone());
        let arm = more["architecture"] == "arm64";
        let record = AmiRecord {
            ami: reference.clone(),
            architecture: if arm { Architecture::Arm64 } else { Architecture::X86_64 },
            name,
            owner: "210987654321".parse().expect("an account"),
            created_at,
            snapshots: vec![snapshot],
        };
        Made { id: reference.to_string(), record }
    }

    fn tagged(&mut self, state: &str, days: i64, more: Value) -> Made {
        self.make(EAST, "base", RunId::generate(), state, days, more)
    }

    /// A line of releases of `state`, one for each age; those from `kept` on must go.
    fn releases(&mut self, state: &str, ages: impl Iterator<Item = i64>, kept: usize) {
        for (index, days) in ages.enumerate() {
            let made = self.tagged(state, days, Value::Null);
            if index >= kept {
                self.go.insert(made.id);
            }
        }
    }

    /// Writes a run into the lock: moved in as vetted, then to `states`.
    fn move_run(
        lock: &mut Lock,
        run: RunId,
        amis: &[&Made],
        states: &[ImageState],
        parent: Option<&str>,
        copies: Vec<LockCopy>,
    ) {
        let (evidence, tested_at) = (Digest::of(b"evidence"), ago(90).replace("+00:00", "Z"));
        let state = ImageState::Candidate;
        let amis = amis.iter().map(|made| CandidateAmi {
            record: made.record.clone(),
            state,
            evidence: evidence.clone(),
            tested_at: tested_at.clone(),
        });
        let provenance = Provenance {
            owner: Some(OWNER.to_owned()),
            parent: parent.map(|id| id.split_once(':').expect("a reference").1.parse().expect("an id")),
            ..Provenance::default()
        };
        let (image, verdict, amis) = (lock.image.clone(), Verdict::Passed, amis.collect());
        let candidate =
            Candidate { image, run, state, verdict, tested_at: tested_at.clone(), provenance, evidence, amis };
        for (index, state) in std::iter::once(&ImageState::Vetted).chain(states).enumerate() {
            let gold = *state == ImageState::Gold;
            let entry = LockEntry {
                run,
                state: *state,
                by: "https://ci.example/1".to_owned(),
                at: tested_at.clone(),
                reason: "a test".to_owned(),
                evidence: None,
                effective_at: None,
                previous: None,
                candidate: (index == 0).then(|| candidate.clone()),
                copies: if gold { copies.clone() } else { Vec::new() },
            };
            lock_file::append(lock, entry);
            if gold {
                lock.gold = Some(run);
            }
        }
    }

    /// An AMI that the lock knows, in `state`, `days` old.
    fn locked(&mut self, states: &[ImageState], days: i64) -> Made {
        let run = RunId::generate();
        let tag = states.last().map_or("vetted", |state| state.as_str());
        let made = self.make(EAST, "base", run, tag, days, Value::Null);
        Self::move_run(&mut self.base, run, &[&made], states, None, Vec::new());
        made
    }

    /// Everything: 200 images and who uses them.
    fn build(&mut self) {
        self.releases("candidate", [3, 20].into_iter().chain(31..115), 2);
        self.releases("rejected", 8..48, 1);
        self.releases("untested", 40..60, 2);
        self.whole_release();
        self.moved();
        self.decoys();
        // The protection that assay left on what failed is lifted.
        let failed = (60..64).map(|days| self.tagged("rejected", days, Value::Null).id).collect::<Vec<_>>();
        for id in &failed {
            self.cloud.protect(id.split_once(':').expect("a reference").1, EAST);
        }
        self.go.extend(failed);
    }

    /// Releases of two regions and two architectures: all of one stay by their newest AMI, all of another go.
    fn whole_release(&mut self) {
        for (days, goes) in [(25, false), (200, true)] {
            let run = RunId::generate();
            let arm = json!({ "architecture": "arm64" });
            for (region, older, more) in
                [(EAST, 0, Value::Null), (EAST, 20, arm.clone()), (WEST, 40, Value::Null), (WEST, 41, arm)]
            {
                let made = self.make(region, "base", run, "candidate", days + older, more);
                if goes {
                    self.go.insert(made.id);
                }
            }
        }
        for days in 120..126 {
            let made = self.make(WEST, "base", RunId::generate(), "rejected", days, Value::Null);
            self.go.insert(made.id);
        }
    }

    /// What the lock says: gold with a copy, two retired ones of many, vetted before and after gold, revoked.
    fn moved(&mut self) {
        for days in [65, 64, 63, 62, 61, 60] {
            // Oldest first, as in every lock: the last of them is what a rollback would bring back.
            let made = self.locked(&[ImageState::Gold, ImageState::Retired], days);
            if days > 61 {
                self.go.insert(made.id);
            }
        }
        for days in [45, 80, 81, 82] {
            let made = self.locked(&[], days);
            if days > 80 {
                self.go.insert(made.id);
            }
        }
        // The lock says gold, whatever a builder wrote into the tags: of AMI and copy alike.
        let run = RunId::generate();
        let gold = self.make(EAST, "base", run, "rejected", 50, Value::Null);
        let copy = self.make(WEST, "base", run, "candidate", 49, Value::Null);
        let copies = vec![LockCopy { record: copy.record.clone(), of: gold.record.ami.clone() }];
        Self::move_run(&mut self.base, run, &[&gold], &[ImageState::Gold], None, copies);
        self.tagged("gold", 95, Value::Null);
    }

    fn decoys(&mut self) {
        let old = |scene: &mut Self, days: i64| scene.tagged("candidate", days, Value::Null);
        let [running, stopped, ended, version, parameter, configuration, group] =
            [150, 151, 152, 153, 154, 155, 156].map(|days| old(self, days));
        let [launched, unlaunched, public] = [157, 158, 159].map(|days| old(self, days));
        let [fleet, spot_fleet] = [180, 181].map(|days| old(self, days));
        self.go.insert(ended.id.clone());
        self.announced.insert(unlaunched.id.clone());
        // The parent of a young child by its tag, the parent of another image's gold by the lock alone, and that of a child that goes.
        let [by_tag, by_lock, lone] = [160, 161, 162].map(|days| old(self, days));
        let id = |made: &Made| made.record.ami.id.to_string();
        self.tagged("candidate", 2, json!({ "tags": { "assay:parent": id(&by_tag) } }));
        let child = self.tagged("candidate", 163, json!({ "tags": { "assay:parent": id(&lone) } }));
        self.go.extend([lone.id.clone(), child.id]);
        let app = RunId::generate();
        let gold = self.make(EAST, "app", app, "gold", 90, Value::Null);
        Self::move_run(&mut self.app, app, &[&gold], &[ImageState::Gold], Some(&by_lock.id), Vec::new());
        // Somebody else's, or nobody's.
        for (days, more) in [
            (170, json!({ "tags": { "assay:owner": "github.com/example/other" } })),
            (171, json!({ "tags": { "assay:owner": null } })),
            (172, json!({ "tags": { "assay:managed": null, "assay:run": null, "assay:state": null } })),
            (173, json!({ "tags": { "assay:run": null } })),
            (174, json!({ "tags": { "assay:image": "forgotten" } })),
            (175, json!({ "tags": { "assay:state": "golden" } })),
            (176, json!({ "account": "other" })),
        ] {
            self.tagged("candidate", days, more);
        }
        // A copy that somebody made by hand, with all tags of one that the lock knows; and two of which neither is known.
        let (recorded, unknown) = (RunId::generate(), RunId::generate());
        let known = self.make(EAST, "base", recorded, "vetted", 83, Value::Null);
        Self::move_run(&mut self.base, recorded, &[&known], &[], None, Vec::new());
        self.go.insert(known.id);
        self.make(EAST, "base", recorded, "vetted", 82, Value::Null);
        self.make(EAST, "base", unknown, "candidate", 177, Value::Null);
        self.make(EAST, "base", unknown, "candidate", 178, Value::Null);
        let protected = old(self, 179);
        self.cloud.protect(&id(&protected), EAST);
        self.cloud.control("launched", &json!({ "image": id(&launched), "region": EAST, "at": ago(5) }));
        self.users(&json!({
            "running": id(&running), "stopped": id(&stopped), "ended": id(&ended), "old_version": id(&version),
            "parameter": id(&parameter), "configuration": id(&configuration), "group": id(&group),
            "fleet": id(&fleet), "spot_fleet": id(&spot_fleet),
            "shared": [id(&launched), id(&unlaunched)], "public": id(&public), "other": "109876543210",
        }));
    }

    fn users(&self, wanted: &Value) {
        let script = self.folder.path().join("users.py");
        std::fs::write(&script, USERS).expect("written");
        let mut command = Command::new(tools::mini_cloud());
        command.arg("python").arg(&script).arg(wanted.to_string()).envs(self.cloud.environment("main"));
        let output = command.env("AWS_DEFAULT_REGION", EAST).output().expect("the mini cloud's Python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A repository whose protected branch holds assay.hcl and the locks.
    fn publish(&self) -> Repository {
        let work = self.folder.path().join("work");
        std::fs::create_dir_all(work.join("images")).expect("folders");
        std::fs::write(work.join("assay.hcl"), CONFIG).expect("written");
        for lock in [&self.base, &self.app] {
            let path = work.join("images").join(format!("{}.lock.hcl", lock.image));
            std::fs::write(path, lock_file::write(lock)).expect("written");
        }
        Repository::publish(&work, &self.folder.path().join("remote.git"))
    }

    fn prune(&self, more: &[&str]) -> (Option<i32>, Value) {
        let output = self.command(more);
        let text = String::from_utf8_lossy(&output.stdout);
        let answer = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), answer)
    }

    fn command(&self, more: &[&str]) -> Output {
        let mut command = Command::new(tools::assay());
        command
            .args(["prune", "--format", "json", "--region", EAST, WEST])
            .args(more)
            .current_dir(self.folder.path().join("work"))
            .env_remove("AWS_PROFILE")
            .envs(git_environment(self.folder.path()))
            .envs(self.cloud.environment("main"));
        command.output().expect("assay runs")
    }

    /// Every image of both accounts, by `REGION:ID`.
    fn images(&self) -> BTreeMap<String, Value> {
        let all = self.cloud.inventory();
        let images = all["images"].as_array().expect("images").iter();
        let key = |image: &Value| {
            format!("{}:{}", image["region"].as_str().expect("a region"), image["id"].as_str().expect("an id"))
        };
        images.map(|image| (key(image), image.clone())).collect()
    }

    fn snapshots_there(&self) -> BTreeSet<String> {
        let all = self.cloud.inventory();
        let ids = all["snapshots"].as_array().expect("snapshots").iter();
        ids.map(|snapshot| snapshot["id"].as_str().expect("an id").to_owned()).collect()
    }

    fn changes(&self) -> Vec<Value> {
        let changing = |call: &Value| CHANGES.contains(&call["action"].as_str().unwrap_or_default());
        self.cloud.calls().into_iter().filter(changing).collect()
    }
}

impl Scene {
    /// The sweeper's printed policy allows every call since `began`, but none that would touch a vetted AMI.
    fn every_call_is_allowed(&self, began: usize) {
        let calls: Vec<Value> = self.cloud.calls().split_off(began);
        let vetted = |call: &&Value| {
            let tags =
                call["resources"].as_object().into_iter().flatten().map(|(_, thing)| &thing["tags"]["assay:state"]);
            CHANGES.contains(&call["action"].as_str().unwrap_or_default()) && tags.into_iter().any(|s| *s == "vetted")
        };
        let (on_vetted, others): (Vec<Value>, Vec<Value>) = calls.into_iter().partition(|call| vetted(&call));
        let work = self.folder.path().join("work");
        assert_eq!(permissions::denied(&work, "sweeper", &others), Vec::<String>::new());
        let refused: Vec<Value> = on_vetted.into_iter().filter(|call| call["action"] != "CreateTags").collect();
        assert!(!refused.is_empty());
        assert_eq!(permissions::denied(&work, "sweeper", &refused).len(), refused.len());
    }
}

/// The AMIs with one of these actions.
fn chosen(answer: &Value, actions: &[&str]) -> BTreeSet<String> {
    let amis = answer["amis"].as_array().expect("amis").iter();
    let chosen = amis.filter(|ami| actions.contains(&ami["action"].as_str().expect("an action")));
    chosen.map(|ami| ami["ami"].as_str().expect("a reference").to_owned()).collect()
}

fn differences(found: &BTreeSet<String>, wanted: &BTreeSet<String>, answer: &Value) -> Vec<String> {
    let reason = |id: &String| {
        let amis = answer["amis"].as_array().expect("amis").iter();
        amis.filter(|ami| ami["ami"] == **id).map(|ami| format!("{ami}")).collect::<String>()
    };
    found.symmetric_difference(wanted).map(reason).collect()
}

#[test]
fn of_two_hundred_images_exactly_the_right_ones_go() {
    let mut scene = Scene::new();
    scene.build();
    scene.publish();
    assert!(scene.count >= 200, "{} images", scene.count);
    let (before, snapshots) = (scene.images(), scene.snapshots_there());
    let nothing = scene.changes().len();
    let began = scene.cloud.calls().len();

    // A dry run: the right ones, and no call that changes anything.
    let (code, shown) = scene.prune(&[]);
    assert_eq!(code, Some(0), "{:?}", shown["errors"]);
    assert_eq!(differences(&chosen(&shown, &["disable"]), &scene.go, &shown), Vec::<String>::new());
    assert_eq!(differences(&chosen(&shown, &["deprecate"]), &scene.announced, &shown), Vec::<String>::new());
    assert_eq!(scene.changes().len(), nothing);

    // The first step can be undone: all of them are disabled, none is gone.
    let (code, _) = scene.prune(&["--yes"]);
    assert_eq!(code, Some(0));
    let disabled = scene.images();
    assert_eq!(disabled.len(), before.len());
    for (id, image) in &disabled {
        let state = if scene.go.contains(id) { "disabled" } else { "available" };
        assert_eq!(image["state"], state, "{id}: {image}");
        let deprecated = scene.go.contains(id) || scene.announced.contains(id);
        assert_eq!(image["deprecation_time"].is_string(), deprecated, "{id}: {image}");
    }

    // Each listing of who uses what, where it is refused: nothing of that region goes, whichever it is.
    for action in LISTINGS_OF_USES {
        scene.cloud.faults(json!([{ "action": action, "code": "UnauthorizedOperation", "times": 99 }]));
        let changes = scene.changes().len();
        let (code, answer) = scene.prune(&["--yes", "--grace", "0s"]);
        scene.cloud.clear_faults();
        assert_eq!((code, scene.changes().len()), (Some(3), changes), "without {action}: {:?}", answer["errors"]);
    }

    // Half of them at once while the other region cannot say who uses what: there nothing goes.
    let fault =
        json!([{ "action": "DescribeLaunchTemplates", "region": WEST, "code": "UnauthorizedOperation", "times": 99 }]);
    scene.cloud.faults(fault);
    let (code, answer) = scene.prune(&["--yes", "--grace", "0s"]);
    assert_eq!(code, Some(3), "{answer:#}");
    let there: BTreeSet<String> = scene.images().into_keys().collect();
    let gone: BTreeSet<String> = before.keys().filter(|id| !there.contains(*id)).cloned().collect();
    // What is shared had its warning in the step before.
    let all: BTreeSet<String> = scene.go.union(&scene.announced).cloned().collect();
    let east: BTreeSet<String> = all.iter().filter(|id| id.starts_with(EAST)).cloned().collect();
    assert_eq!(differences(&gone, &east, &answer), Vec::<String>::new());
    assert!(east.len() < all.len());

    // The rest, once it answers; then there is nothing more to do.
    scene.cloud.clear_faults();
    let (code, answer) = scene.prune(&["--yes", "--grace", "0s"]);
    assert_eq!(code, Some(0), "{answer:#}");
    let after = scene.images();
    let gone: BTreeSet<String> = before.keys().filter(|id| !after.contains_key(*id)).cloned().collect();
    assert_eq!(differences(&gone, &all, &answer), Vec::<String>::new());
    let left = scene.snapshots_there();
    let deleted: BTreeSet<&String> = snapshots.difference(&left).collect();
    assert_eq!(deleted, all.iter().map(|id| &scene.snapshots[id]).collect());
    for (id, image) in &after {
        assert_eq!(image, &before[id], "{id} was touched");
    }
    let done = scene.changes().len();
    let (code, answer) = scene.prune(&["--yes", "--grace", "0s"]);
    assert_eq!((code, scene.changes().len()), (Some(0), done), "{answer:#}");
    scene.every_call_is_allowed(began);
}
