//! The cloud's verbs for AMIs that stay, and those of the other services, by the AWS SDK against the mini cloud: what assay says of them is what is there then.

use std::{collections::BTreeMap, process::Command, sync::Arc, time::Duration};

use assay_aws::cloud::{
    Cloud as Verbs, CloudErrorKind, CloudFactory, CopyImage, DryRun, DryRunAnswer, Ec2Factory, ImageSharing,
    RunInstances,
};
use assay_config::AccessSettings;
use assay_model::{AccountId, AmiId, AmiRef, Region};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{cloud::Cloud, tools};

struct Scene {
    cloud: Cloud,
    folder: TempDir,
    factory: Ec2Factory,
}

const EAST: &str = "us-east-1";

fn tag(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn region(name: &str) -> Region {
    name.parse().expect("a region")
}

impl Scene {
    /// A cloud, and assay's own client for its usual account: by a profile, whose endpoint holds for every service.
    async fn new() -> Self {
        let cloud = Cloud::start();
        let folder = TempDir::with_prefix("assay-estate-").expect("a folder");
        let of = |key: &str| {
            let all = cloud.environment("main");
            all.into_iter().find(|(name, _)| name == key).map(|(_, value)| value).expect("set")
        };
        let file = folder.path().join("credentials");
        let text = format!(
            "[mini]\naws_access_key_id = {}\naws_secret_access_key = {}\nendpoint_url = {}\n",
            of("AWS_ACCESS_KEY_ID"),
            of("AWS_SECRET_ACCESS_KEY"),
            of("AWS_ENDPOINT_URL")
        );
        std::fs::write(&file, text).expect("written");
        let access = AccessSettings {
            profile: Some("mini".to_owned()),
            shared_credentials_file: Some(file),
            region: Some(region(EAST)),
            max_retries: Some(1),
            ..AccessSettings::default()
        };
        let factory = Ec2Factory::connect(&access).await;
        Self { cloud, folder, factory }
    }

    fn east(&self) -> Arc<dyn Verbs> {
        self.factory.region(&region(EAST))
    }

    fn copy(&self, name: &str) -> AmiId {
        let wish = json!({
            "image": self.cloud.stock("light", EAST), "region": EAST, "name": name, "tags": { "assay:managed": "true" },
        });
        self.cloud.control("copy", &wish)["image"].as_str().expect("an id").parse().expect("an AMI id")
    }

    /// Python with boto3: what assay itself has no verb for.
    fn python(&self, script: &str, arguments: &[String]) -> Value {
        let file = self.folder.path().join("script.py");
        std::fs::write(&file, script).expect("written");
        let mut command = Command::new(tools::mini_cloud());
        command.arg("python").arg(&file).args(arguments).envs(self.cloud.environment("main"));
        let output = command.env("AWS_DEFAULT_REGION", EAST).output().expect("the mini cloud's Python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_made_once_shared_and_retired() {
    let scene = Scene::new().await;
    let (east, west) = (scene.east(), scene.factory.region(&region("eu-west-1")));
    let source = AmiRef { region: region(EAST), id: scene.copy("source") };
    let key = scene.python(WESTERN_KEY, &[]);
    let order = CopyImage {
        source: source.clone(),
        name: "copied".to_owned(),
        description: "a copy".to_owned(),
        client_token: "assay-copy-1".to_owned(),
        encrypted: true,
        // What the account's own key encrypts, EC2 shares with nobody.
        kms_key_id: Some(key.as_str().expect("an id").to_owned()),
        tags: BTreeMap::from([tag("assay:managed", "true"), tag("assay:run", "r")]),
    };
    let id = west.copy_image(&order).await.expect("copied");
    assert_eq!(west.copy_image(&order).await.expect("the same"), id);
    let other = CopyImage { name: "another".to_owned(), ..order.clone() };
    assert_eq!(west.copy_image(&other).await.expect_err("one token").kind, CloudErrorKind::Invalid);
    let image = west.own_images().await.expect("listed").remove(0);
    assert_eq!((&image.id, &image.tags), (&id, &order.tags));
    assert_eq!(image.attributes.source_image_id, source.id.as_str());
    assert_eq!(image.attributes.source_image_region, EAST);
    let snapshots = west.find_snapshots(&[tag("assay:run", "r")]).await.expect("listed");
    let snapshot = image.block_devices[0].snapshot.clone().expect("a snapshot");
    assert_eq!((snapshots.len(), &snapshots[0].id, snapshots[0].encrypted), (1, &snapshot, true));

    let friend: AccountId = "109876543210".parse().expect("an account");
    let sharing = ImageSharing {
        users: vec![friend.clone()],
        org_arns: vec!["arn:aws:organizations::210987654321:organization/o-abc".to_owned()],
        ou_arns: vec!["arn:aws:organizations::210987654321:ou/o-abc/ou-1".to_owned()],
    };
    west.share_image(&id, &sharing).await.expect("shared");
    west.share_snapshot(&snapshot, std::slice::from_ref(&friend)).await.expect("shared");
    let with = west.image_sharing(&id).await.expect("told");
    assert_eq!((with.sharing, with.public), (sharing.clone(), false));
    west.unshare_image(&id, &sharing).await.expect("unshared");
    assert!(west.image_sharing(&id).await.expect("told").nobody());
    assert_eq!(west.image_last_launched(&id).await.expect("told"), None);
    scene.cloud.control("launched", &json!({ "image": id, "region": "eu-west-1", "at": "2026-01-02T00:00:00Z" }));
    assert_eq!(west.image_last_launched(&id).await.expect("told").as_deref(), Some("2026-01-02T00:00:00Z"));

    // EC2 refuses times that have passed; this one is a year ahead whenever the test runs.
    let next_year = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(365 * 24)).expect("a time");
    let deprecation = |seconds: &str| next_year.strftime(&format!("%Y-%m-%dT%H:%M:{seconds}")).to_string();
    west.deprecate_image(&id, &deprecation("05Z")).await.expect("deprecated");
    let state = async |id: &AmiId| {
        let image = west.describe_images(std::slice::from_ref(id)).await.expect("described").remove(0);
        (image.state, image.attributes.deprecation_time)
    };
    assert_eq!(state(&id).await.1, deprecation("00.000Z"));
    while state(&id).await.0 == "pending" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(west.deprecate_image(&id, "soon").await.expect_err("no time").kind, CloudErrorKind::Invalid);
    west.cancel_deprecation(&id).await.expect("cancelled");
    west.disable_image(&id).await.expect("disabled");
    assert_eq!(state(&id).await, ("disabled".to_owned(), String::new()));
    assert_eq!(west.own_images().await.expect("listed").len(), 1, "disabled ones are listed");
    west.enable_image(&id).await.expect("enabled");
    west.enable_deregistration_protection(&id).await.expect("protected");
    assert_eq!(west.deregister_image(&id).await.expect_err("protected").kind, CloudErrorKind::Denied);
    west.disable_deregistration_protection(&id).await.expect("lifted");
    assert_eq!(west.delete_snapshot(&snapshot).await.expect_err("held").kind, CloudErrorKind::InUse);
    assert_eq!(west.images_of_snapshot(&snapshot).await.expect("listed").len(), 1);
    west.deregister_image(&id).await.expect("deregistered");
    assert!(west.images_of_snapshot(&snapshot).await.expect("listed").is_empty());
    west.delete_snapshot(&snapshot).await.expect("deleted");
    assert_eq!(west.delete_snapshot(&snapshot).await.expect_err("gone").kind, CloudErrorKind::NotFound);
    assert_eq!(east.own_images().await.expect("listed").len(), 1);
}

const WESTERN_KEY: &str = r#"import boto3, json
print(json.dumps(boto3.client("kms", region_name="eu-west-1").create_key()["KeyMetadata"]["KeyId"]))
"#;

const SIGNER: &str = r#"import base64, boto3, json, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
if len(sys.argv) == 1:
    key = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    boto3.client("kms").create_alias(AliasName="alias/evidence", TargetKeyId=key["KeyId"])
    print(json.dumps([key["KeyId"], key["Arn"]]))
else:
    public, digest, signature = (bytes.fromhex(text) for text in sys.argv[1:])
    key = serialization.load_der_public_key(public)
    key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    print(json.dumps(True))
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_signatures_and_quotas() {
    let scene = Scene::new().await;
    let east = scene.east();
    assert_eq!(east.get_parameter("/images/base").await.expect("asked"), None);
    let id = scene.copy("pointed");
    east.put_parameter("/images/base", id.as_str(), false).await.expect("written");
    let again = east.put_parameter("/images/base", "x", false).await.expect_err("there already");
    assert_eq!(again.kind, CloudErrorKind::Duplicate);
    east.put_parameter("/images/text", "any text", true).await.expect("written");
    let read = async |name: &str| east.get_parameter(name).await.expect("read");
    assert_eq!(read("/images/base").await.as_deref(), Some(id.as_str()));
    assert_eq!(read("/images/text").await.as_deref(), Some("any text"));
    let put = scene.cloud.calls().into_iter().filter(|call| call["action"] == "PutParameter").collect::<Vec<_>>();
    let types: Vec<&str> = put.iter().filter_map(|call| call["parameters"]["DataType"].as_str()).collect();
    assert_eq!(types, ["aws:ec2:image", "text", "text"]);

    let key = scene.python(SIGNER, &[]);
    let (id, arn) = (key[0].as_str().expect("an id"), key[1].as_str().expect("an ARN"));
    let digest = [7u8; 32];
    let public = east.kms_public_key("alias/evidence").await.expect("a key");
    // A key's ARN names its region, whatever region is asked.
    let elsewhere = scene.factory.region(&region("eu-west-1"));
    for signature in [
        east.kms_sign(id, &digest).await.expect("signed"),
        east.kms_sign("alias/evidence", &digest).await.expect("signed"),
        elsewhere.kms_sign(arn, &digest).await.expect("signed"),
    ] {
        scene.python(SIGNER, &[hex(&public), hex(&digest), hex(&signature)]);
    }
    assert_eq!(elsewhere.kms_sign(id, &digest).await.expect_err("not here").kind, CloudErrorKind::NotFound);
    assert_eq!(east.vcpu_quota().await.expect("told"), Some(64.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_asks_and_does_nothing() {
    let scene = Scene::new().await;
    let east = scene.east();
    let image = scene.copy("asked about");
    let before = scene.cloud.inventory();
    let tags = BTreeMap::from([tag("assay:managed", "true")]);
    let text = str::to_owned;
    let launch = RunInstances {
        image: image.clone(),
        instance_type: text("t3.small"),
        client_token: text("dry"),
        key_name: text("none"),
        security_group_ids: Vec::new(),
        subnet_id: None,
        associate_public_ip_address: None,
        iam_instance_profile: None,
        user_data: Vec::new(),
        delete_on_termination: Vec::new(),
        spot_price: None,
        tags: tags.clone(),
    };
    let (instance, snapshot) = (text("i-00000000000000000"), text("snap-00000000000000000"));
    let source = AmiRef { region: region(EAST), id: image.clone() };
    let calls = [
        DryRun::RunInstances(Box::new(launch)),
        DryRun::ImportKeyPair { name: text("k"), public_key: text("ssh-ed25519 AAAA"), tags: tags.clone() },
        DryRun::DeleteKeyPair { name: text("k") },
        DryRun::CreateSecurityGroup { name: text("g"), vpc: None, tags: tags.clone() },
        DryRun::AuthorizeSecurityGroupIngress { group: text("sg-00000000") },
        DryRun::DeleteSecurityGroup { group: text("sg-00000000") },
        DryRun::GetConsoleOutput { instance: instance.clone() },
        DryRun::RebootInstances { instance: instance.clone() },
        DryRun::StopInstances { instance: instance.clone() },
        DryRun::StartInstances { instance: instance.clone() },
        DryRun::TerminateInstances { instance },
        DryRun::DeleteVolume { volume: text("vol-00000000") },
        DryRun::CreateTags { resource: image.to_string(), tags: tags.clone() },
        DryRun::CopyImage { source, name: text("c"), tags },
        DryRun::ModifyImageAttribute { image: image.clone() },
        DryRun::ModifySnapshotAttribute { snapshot: snapshot.clone() },
        DryRun::EnableImageDeprecation { image: image.clone() },
        DryRun::DisableImageDeprecation { image: image.clone() },
        DryRun::DisableImage { image: image.clone() },
        DryRun::EnableImage { image: image.clone() },
        DryRun::DeregisterImage { image: image.clone() },
        DryRun::DeleteSnapshot { snapshot },
        DryRun::EnableImageDeregistrationProtection { image: image.clone() },
        DryRun::DisableImageDeregistrationProtection { image },
    ];
    for call in &calls {
        assert_eq!(east.dry_run(call).await.expect("answered"), DryRunAnswer::Allowed, "{}", call.action());
    }
    assert_eq!(scene.cloud.inventory(), before);
    for call in &calls {
        let action = call.action();
        scene.cloud.faults(json!([{ "action": action, "code": "UnauthorizedOperation", "message": "not authorized" }]));
        let answer = east.dry_run(call).await.expect("answered");
        assert!(
            matches!(&answer, DryRunAnswer::Denied(words) if words.contains("not authorized")),
            "{action}: {answer:?}"
        );
        scene.cloud.faults(json!([{ "action": action, "code": "InvalidParameterValue" }]));
        let answer = east.dry_run(call).await.expect("answered");
        assert!(matches!(answer, DryRunAnswer::NotSaid(_)), "{action}: {answer:?}");
    }
    assert_eq!(scene.cloud.inventory(), before);
}
