//! Requests that would do harm, and requests that are needed though no recorded flow makes them, as lines of the call log. They own what is asked; the mapping to
//! IAM's words is `requests`'.

use serde_json::{Map, Value, json};

/// Whose account.
pub(super) const ACCOUNT: &str = "210987654321";
/// The VPC of the policies.
pub(super) const VPC: &str = "vpc-0aaaaaaaaaaaaaaa1";
/// The id of the key that signs evidence.
pub(super) const KEY: &str = "11111111-2222-3333-4444-555555555555";

/// A configuration that asks for everything.
pub(super) const CONFIGURATION: &str = r#"
image "base" {
  inputs  = ["packer/**"]
  regions = ["us-east-1"]
  distribution {
    ami_regions   = ["eu-west-1"]
    ami_users     = ["111122223333"]
    ssm_parameter = "/images/base/{architecture}"
    kms_key_id    = "99999999-2222-3333-4444-555555555555"
  }
}
"#;

/// One request that must be denied to a role.
pub(super) struct Abuse {
    pub role: &'static str,
    pub name: &'static str,
    pub line: Value,
    /// Denied even where everything else is allowed.
    pub explicit: bool,
}

const OURS: &[(&str, &str)] =
    &[("assay:managed", "true"), ("assay:expires-at", "2026-11-23T07:00:00Z"), ("assay:run", RUN)];
/// What Packer's run_tags and run_volume_tags say.
const BUILT_ON: &[(&str, &str)] =
    &[("assay:managed", "true"), ("assay:expires-at", "2026-11-23T07:00:00Z"), ("assay:state", "building")];
const RUN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const IMAGE: &str = "ami-0aaaaaaaaaaaaaaa1";
const SNAPSHOT: &str = "snap-0aaaaaaaaaaaaaaa1";
const GROUP: &str = "sg-0aaaaaaaaaaaaaaa1";
const VOLUME: &str = "vol-0aaaaaaaaaaaaaaa1";
const SUBNET: &str = "subnet-0aaaaaaaaaaaaaaa1";

/// A line of the log under construction.
#[derive(Clone)]
struct Line(Value);

fn call(action: &str) -> Line {
    Line(
        json!({ "n": 0, "service": "ec2", "action": action, "account": ACCOUNT, "region": "us-east-1", "parameters": {}, "resources": {
        "default-vpc": { "kind": "vpc", "id": VPC } } }),
    )
}

impl Line {
    fn with(mut self, parameter: &str, value: &str) -> Self {
        self.0["parameters"][parameter] = json!(value);
        self
    }

    fn without(mut self, prefix: &str) -> Self {
        self.0["parameters"].as_object_mut().unwrap().retain(|key, _| !key.starts_with(prefix));
        self
    }

    fn of(mut self, service: &str) -> Self {
        self.0["service"] = json!(service);
        self
    }

    fn at(mut self, region: &str) -> Self {
        self.0["region"] = json!(region);
        self
    }

    /// Something that exists and that the call names, with its tags.
    fn knows(mut self, id: &str, tags: &[(&str, &str)]) -> Self {
        let kind = match id.split('-').next() {
            Some("ami") => "image",
            Some("snap") => "snapshot",
            Some("i") => "instance",
            Some("vol") => "volume",
            Some("sg") => "security-group",
            Some("subnet") => "subnet",
            Some("vpc") => "vpc",
            _ => "key-pair",
        };
        let tags: Map<String, Value> = tags.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.0["resources"][id] = json!({ "kind": kind, "exists": true, "owner": ACCOUNT, "vpc": null, "tags": tags });
        self
    }

    fn owned_by(mut self, id: &str, owner: &str) -> Self {
        self.0["resources"][id]["owner"] = json!(owner);
        self
    }

    fn within(mut self, id: &str, vpc: &str) -> Self {
        self.0["resources"][id]["vpc"] = json!(vpc);
        self
    }

    /// The n-th TagSpecification.
    fn tagging(mut self, n: usize, kind: &str, tags: &[(&str, &str)]) -> Self {
        self = self.with(&format!("TagSpecification.{n}.ResourceType"), kind);
        for ((key, value), m) in tags.iter().zip(1..) {
            self = self.with(&format!("TagSpecification.{n}.Tag.{m}.Key"), key);
            self = self.with(&format!("TagSpecification.{n}.Tag.{m}.Value"), value);
        }
        self
    }
}

/// A launch as assay makes it.
fn launch() -> Line {
    call("RunInstances")
        .with("ImageId", IMAGE)
        .knows(IMAGE, &image("candidate"))
        .with("InstanceType", "t3.small")
        .with("KeyName", "assay-run-1")
        .knows("assay-run-1", OURS)
        .with("SecurityGroupId.1", GROUP)
        .knows(GROUP, OURS)
        .with("MetadataOptions.HttpTokens", "required")
        .tagging(1, "instance", OURS)
        .tagging(2, "volume", OURS)
        .tagging(3, "network-interface", OURS)
}

fn image(state: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("assay:managed", "true"), ("assay:run", RUN), ("assay:image", "base"), ("assay:state", state)]
}

/// CreateTags on `id`, which carries `there`.
fn tag(id: &str, there: &[(&str, &str)], tags: &[(&str, &str)]) -> Line {
    let mut line = call("CreateTags").with("ResourceId.1", id).knows(id, there);
    for ((key, value), n) in tags.iter().zip(1..) {
        line = line.with(&format!("Tag.{n}.Key"), key).with(&format!("Tag.{n}.Value"), value);
    }
    line
}

/// A call on one thing that carries `tags`.
fn on(action: &str, parameter: &str, id: &str, tags: &[(&str, &str)]) -> Line {
    call(action).with(parameter, id).knows(id, tags)
}

fn ssm(action: &str, name: &str) -> Line {
    call(action).of("ssm").with("Name", name)
}

fn sign(key: &str) -> Line {
    call("Sign").of("kms").with("KeyId", key).with("SigningAlgorithm", "ECDSA_SHA_256")
}

fn copy(owner: &str) -> Line {
    call("CopyImage")
        .with("SourceImageId", IMAGE)
        .knows(IMAGE, &image("vetted"))
        .owned_by(IMAGE, owner)
        .tagging(1, "image", &image("vetted"))
        .tagging(2, "snapshot", &image("vetted"))
}

fn share_snapshot() -> Line {
    on("ModifySnapshotAttribute", "SnapshotId", SNAPSHOT, &image("gold"))
}

/// Every abuse.
pub(super) fn all() -> Vec<Abuse> {
    [tester(), builder(), promoter(), sweeper()].concat_all()
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Abuse>;
}

impl<const N: usize> ConcatAll for [Vec<Abuse>; N] {
    fn concat_all(self) -> Vec<Abuse> {
        self.into_iter().flatten().collect()
    }
}

fn abuses(role: &'static str, explicit: bool, all: Vec<(&'static str, Line)>) -> Vec<Abuse> {
    all.into_iter().map(|(name, Line(line))| Abuse { role, name, line, explicit }).collect()
}

fn launches(role: &'static str) -> Vec<Abuse> {
    let with_role = |mut line: Line| {
        line.0["role_of_profile"] = json!(format!("arn:aws:iam::{ACCOUNT}:role/admin"));
        line
    };
    let other_vpc = launch().with("SubnetId", SUBNET).knows(SUBNET, &[]).within(SUBNET, "vpc-0bbbbbbbbbbbbbbb2");
    abuses(
        role,
        false,
        vec![
            ("a launch without tags", launch().without("TagSpecification")),
            (
                "a launch whose volumes carry no tags",
                launch()
                    .without("TagSpecification.2")
                    .tagging(2, "network-interface", OURS)
                    .without("TagSpecification.3"),
            ),
            (
                "a launch that never expires",
                launch().without("TagSpecification.1").tagging(
                    1,
                    "instance",
                    &[("assay:managed", "true"), ("assay:run", RUN)],
                ),
            ),
            ("IMDSv1", launch().with("MetadataOptions.HttpTokens", "optional")),
            ("IMDSv1 by saying nothing", launch().without("MetadataOptions")),
            ("a huge instance", launch().with("InstanceType", "p5.48xlarge")),
            ("an instance profile", launch().with("IamInstanceProfile.Name", "admin")),
            ("passing a role", with_role(launch())),
            ("another region", launch().at("ap-southeast-2")),
            ("another VPC", other_vpc),
            (
                "a foreign AMI that is not managed",
                launch().knows(IMAGE, &[("Name", "theirs")]).owned_by(IMAGE, "999999999999"),
            ),
            ("a foreign security group", launch().knows(GROUP, &[("Name", "open to the world")])),
            ("a foreign key pair", launch().knows("assay-run-1", &[])),
            (
                "terminating a foreign instance",
                on("TerminateInstances", "InstanceId.1", INSTANCE, &[("Name", "database")]),
            ),
            ("reading a foreign console", on("GetConsoleOutput", "InstanceId", INSTANCE, &[])),
            ("opening a foreign group", on("AuthorizeSecurityGroupIngress", "GroupId", GROUP, &[])),
            ("deleting a foreign volume", on("DeleteVolume", "VolumeId", VOLUME, &[])),
            ("tagging a foreign instance as managed", tag(INSTANCE, &[], OURS)),
            ("a key pair of another name", call("ImportKeyPair").with("KeyName", "admin").tagging(1, "key-pair", OURS)),
            (
                "a group in another VPC",
                call("CreateSecurityGroup")
                    .with("VpcId", "vpc-0bbbbbbbbbbbbbbb2")
                    .knows("vpc-0bbbbbbbbbbbbbbb2", &[])
                    .tagging(1, "security-group", OURS),
            ),
            ("pointing to an AMI", ssm("PutParameter", "/images/base/x86_64")),
        ],
    )
}

fn tester() -> Vec<Abuse> {
    let building =
        [("assay:managed", "true"), ("assay:state", "building"), ("assay:expires-at", "2026-11-23T07:00:00Z")];
    let mut all = launches("tester");
    all.extend(abuses(
        "tester",
        false,
        vec![
            ("gold by the tester", tag(IMAGE, &image("candidate"), &[("assay:state", "gold")])),
            ("a candidate by the tester", tag(IMAGE, &image("untested"), &[("assay:state", "candidate")])),
            ("a launch without a run", launch().without("TagSpecification.1").tagging(1, "instance", &OURS[..2])),
            ("ending a build", on("TerminateInstances", "InstanceId.1", INSTANCE, &building)),
            ("copying", copy(ACCOUNT)),
            ("sharing", on("ModifyImageAttribute", "ImageId", IMAGE, &image("gold"))),
            ("deregistering", on("DeregisterImage", "ImageId", IMAGE, &image("rejected"))),
            ("signing with another key", sign(&format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/0"))),
            (
                "signing by another algorithm",
                sign(&format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY}")).with("SigningAlgorithm", "ECDSA_SHA_512"),
            ),
        ],
    ));
    all
}

fn builder() -> Vec<Abuse> {
    let mut all = launches("builder");
    let stamp = |state: &'static str| [("assay:managed", "true"), ("assay:state", state)];
    all.extend(abuses(
        "builder",
        true,
        vec![
            ("gold by the builder", tag(IMAGE, &image("building"), &stamp("gold"))),
            ("vetted by the builder", tag(SNAPSHOT, &image("untested"), &stamp("vetted"))),
            (
                "an AMI that is born gold",
                call("CreateImage")
                    .with("InstanceId", INSTANCE)
                    .knows(INSTANCE, BUILT_ON)
                    .tagging(1, "image", &image("gold"))
                    .tagging(2, "snapshot", &image("gold")),
            ),
            ("gold becomes a candidate again", tag(IMAGE, &image("gold"), &stamp("candidate"))),
            ("another run on gold", tag(IMAGE, &image("gold"), &[("assay:managed", "true"), ("assay:run", RUN)])),
            ("reviving what was revoked", tag(IMAGE, &image("revoked"), &stamp("candidate"))),
            (
                "taking gold's tags away",
                Line({
                    let mut line = tag(IMAGE, &image("gold"), &[("assay:state", "gold")]).0;
                    line["action"] = json!("DeleteTags");
                    line
                }),
            ),
            ("deregistering gold", on("DeregisterImage", "ImageId", IMAGE, &image("gold"))),
            ("deleting gold's snapshot", on("DeleteSnapshot", "SnapshotId", SNAPSHOT, &image("gold"))),
            ("lifting gold's protection", on("DisableImageDeregistrationProtection", "ImageId", IMAGE, &image("gold"))),
            ("changing what gold demands", on("ModifyImageAttribute", "ImageId", IMAGE, &image("gold"))),
        ],
    ));
    all.extend(abuses(
        "builder",
        false,
        vec![
            (
                "an AMI that is born a candidate",
                call("CreateImage").with("InstanceId", INSTANCE).knows(INSTANCE, BUILT_ON).tagging(
                    1,
                    "image",
                    &image("candidate"),
                ),
            ),
            ("altering a test's instance", on("ModifyInstanceAttribute", "InstanceId", INSTANCE, OURS)),
            ("taking a test's volume away", on("DetachVolume", "VolumeId", VOLUME, OURS)),
            (
                "an AMI of a test's instance",
                on("CreateImage", "InstanceId", INSTANCE, OURS).tagging(1, "image", &image("building")).tagging(
                    2,
                    "snapshot",
                    &image("building"),
                ),
            ),
            (
                "a snapshot of a test's volume",
                on("CreateSnapshot", "VolumeId", VOLUME, OURS).tagging(1, "snapshot", &image("building")),
            ),
            ("a test's instance as one that is built on", tag(INSTANCE, OURS, &stamp("building"))),
            ("a rejected AMI is a candidate again", tag(IMAGE, &image("rejected"), &stamp("candidate"))),
            ("deregistering an AMI that is not ours", on("DeregisterImage", "ImageId", IMAGE, &[])),
            ("copying another account's AMI", copy("999999999999").without("TagSpecification")),
            ("marking another account's AMI", tag(IMAGE, &[], &stamp("candidate")).owned_by(IMAGE, "999999999999")),
            ("sharing a snapshot", share_snapshot().knows(SNAPSHOT, &image("building"))),
            (
                "an AMI of a snapshot that is not ours",
                call("RegisterImage")
                    .with("BlockDeviceMapping.1.Ebs.SnapshotId", SNAPSHOT)
                    .knows(SNAPSHOT, &[])
                    .tagging(1, "image", &image("building")),
            ),
        ],
    ));
    all
}

fn promoter() -> Vec<Abuse> {
    let run = |tags: &[(&str, &str)]| tag(IMAGE, &image("vetted"), tags);
    abuses(
        "promoter",
        false,
        vec![
            ("a launch by the promoter", launch()),
            ("ending instances", on("TerminateInstances", "InstanceId.1", INSTANCE, OURS)),
            ("deregistering", on("DeregisterImage", "ImageId", IMAGE, &image("rejected"))),
            ("deleting a snapshot", on("DeleteSnapshot", "SnapshotId", SNAPSHOT, &image("rejected"))),
            ("another run", run(&[("assay:state", "gold"), ("assay:run", "01ARZ3NDEKTSV4RRFFQ69G5FAW")])),
            ("another source digest", run(&[("assay:source-digest", "sha256:0")])),
            ("managed by the promoter", tag(IMAGE, &[], &[("assay:managed", "true")])),
            ("gold for what is not managed", tag(IMAGE, &[("Name", "theirs")], &[("assay:state", "gold")])),
            ("tagging an instance", tag(INSTANCE, OURS, &[("assay:state", "gold")])),
            (
                "taking tags away",
                Line({
                    let mut line = run(&[("assay:state", "vetted")]).0;
                    line["action"] = json!("DeleteTags");
                    line
                }),
            ),
            ("copying another account's AMI", copy("999999999999")),
            ("a copy without tags", copy(ACCOUNT).without("TagSpecification")),
            ("a copy to another region", copy(ACCOUNT).at("ap-southeast-2")),
            ("sharing a candidate", on("ModifyImageAttribute", "ImageId", IMAGE, &image("candidate"))),
            ("a snapshot for everybody", share_snapshot().with("CreateVolumePermission.Add.1.Group", "all")),
            ("a snapshot for a stranger", share_snapshot().with("CreateVolumePermission.Add.1.UserId", "999999999999")),
            ("lifting gold's protection", on("DisableImageDeregistrationProtection", "ImageId", IMAGE, &image("gold"))),
            ("another parameter", ssm("PutParameter", "/database/password")),
            ("reading another parameter", ssm("GetParameter", "/database/password")),
            ("deleting the parameter", ssm("DeleteParameter", "/images/base/x86_64")),
            ("signing evidence", sign(&format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY}"))),
        ],
    )
}

fn sweeper() -> Vec<Abuse> {
    let mut all = abuses(
        "sweeper",
        true,
        vec![
            ("deregistering gold", on("DeregisterImage", "ImageId", IMAGE, &image("gold"))),
            ("deregistering vetted", on("DeregisterImage", "ImageId", IMAGE, &image("vetted"))),
            ("disabling gold", on("DisableImage", "ImageId", IMAGE, &image("gold"))),
            ("deprecating gold", on("EnableImageDeprecation", "ImageId", IMAGE, &image("gold"))),
            ("lifting gold's protection", on("DisableImageDeregistrationProtection", "ImageId", IMAGE, &image("gold"))),
            ("deleting gold's snapshot", on("DeleteSnapshot", "SnapshotId", SNAPSHOT, &image("gold"))),
        ],
    );
    all.extend(abuses(
        "sweeper",
        false,
        vec![
            (
                "deregistering an AMI without a state",
                on("DeregisterImage", "ImageId", IMAGE, &[("assay:managed", "true")]),
            ),
            ("deregistering a foreign AMI", on("DeregisterImage", "ImageId", IMAGE, &[("assay:state", "rejected")])),
            (
                "terminating a foreign instance",
                on("TerminateInstances", "InstanceId.1", INSTANCE, &[("Name", "database")]),
            ),
            (
                "terminating what does not expire",
                on("TerminateInstances", "InstanceId.1", INSTANCE, &[("assay:managed", "true")]),
            ),
            ("deleting a foreign snapshot", on("DeleteSnapshot", "SnapshotId", SNAPSHOT, &[])),
            ("marking an AMI", tag(IMAGE, &image("rejected"), &[("assay:pruned", IMAGE)])),
            ("moving a snapshot", tag(SNAPSHOT, &image("rejected"), &[("assay:state", "retired")])),
            ("marking a foreign snapshot", tag(SNAPSHOT, &[], &[("assay:pruned", IMAGE)])),
            ("tagging", tag(IMAGE, &image("rejected"), &[("assay:state", "retired")])),
            ("tagging an instance as ours", tag(INSTANCE, &[], OURS)),
            ("a launch by the sweeper", launch()),
            ("copying", copy(ACCOUNT)),
        ],
    ));
    all
}

/// What a role needs in places that the recorded flows do not come to.
pub(super) fn written(role: &str) -> Vec<Value> {
    let lines = match role {
        "builder" => vec![
            // amazon-ebssurrogate.
            on("CreateSnapshot", "VolumeId", VOLUME, BUILT_ON).tagging(1, "snapshot", &image("building")),
            on("DetachVolume", "VolumeId", VOLUME, BUILT_ON),
            // amazon-ebs with ena_support or sriov_support.
            on("ModifyInstanceAttribute", "InstanceId", INSTANCE, BUILT_ON),
            // A smoke test's `reboot "stop-start"`.
            on("StopInstances", "InstanceId.1", INSTANCE, OURS),
            call("RegisterImage")
                .with("BlockDeviceMapping.1.Ebs.SnapshotId", SNAPSHOT)
                .knows(SNAPSHOT, &image("building"))
                .tagging(1, "image", &image("building")),
            // A build that failed, and on_failure = "destroy".
            on("DeregisterImage", "ImageId", IMAGE, &image("rejected")),
            on("DeleteSnapshot", "SnapshotId", SNAPSHOT, &image("building")),
        ],
        "tester" => vec![
            sign(&format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY}")),
            call("GetPublicKey").of("kms").with("KeyId", &format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{KEY}")),
            on("GetConsoleOutput", "InstanceId", INSTANCE, OURS),
            on("RebootInstances", "InstanceId.1", INSTANCE, OURS),
            launch(),
        ],
        "promoter" => vec![
            call("DescribeImages"),
            tag(IMAGE, &image("candidate"), &[("assay:state", "vetted"), ("assay:evidence", "sha256:0")]),
            tag(SNAPSHOT, &image("vetted"), &[("assay:state", "gold")]),
            tag(IMAGE, &image("gold"), &[("assay:state", "retired"), ("assay:promoted-by", "ci")]),
            tag(IMAGE, &image("retired"), &[("assay:protected-by", "nobody")]),
            on("EnableImageDeregistrationProtection", "ImageId", IMAGE, &image("gold")),
            on("DisableImageDeregistrationProtection", "ImageId", IMAGE, &image("retired")),
            copy(ACCOUNT),
            copy(ACCOUNT).at("eu-west-1"),
            on("ModifyImageAttribute", "ImageId", IMAGE, &image("gold")),
            share_snapshot().with("CreateVolumePermission.Add.1.UserId", "111122223333"),
            on("EnableImageDeprecation", "ImageId", IMAGE, &image("retired")),
            on("DisableImageDeregistrationProtection", "ImageId", IMAGE, &image("rejected")),
            ssm("PutParameter", "/images/base/x86_64"),
            ssm("GetParameter", "/images/base/x86_64"),
        ],
        "sweeper" => vec![
            on("DeregisterImage", "ImageId", IMAGE, &image("rejected")),
            on("DisableImage", "ImageId", IMAGE, &image("retired")),
            on("EnableImageDeprecation", "ImageId", IMAGE, &image("retired")),
            on("DisableImageDeregistrationProtection", "ImageId", IMAGE, &image("untested")),
            on("DeleteSnapshot", "SnapshotId", SNAPSHOT, &image("candidate")),
            on("DeleteVolume", "VolumeId", VOLUME, OURS),
            call("DescribeAutoScalingGroups").of("autoscaling"),
            call("DescribeFleets"),
            on("EnableImage", "ImageId", IMAGE, &image("retired")),
            ssm("GetParameter", "/anything"),
            tag(SNAPSHOT, &image("rejected"), &[("assay:pruned", IMAGE)]),
        ],
        other => panic!("no role {other}"),
    };
    lines.into_iter().map(|Line(line)| line).collect()
}
