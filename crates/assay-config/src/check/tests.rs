//! Many mistakes give as many messages; placeholders give none; what is given where it counts.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::{
    SshInterface,
    settings::{OnFailure, SubnetPick},
};
use assay_model::Digest;
use assay_suite::Suite;

/// Stands in for the reader of suites: a file that exists is a suite, any other is a diagnostic.
fn fake_suites(paths: &[PathBuf], folder: &Path, _: &assay_suite::VarSources) -> Result<Vec<Suite>, Vec<String>> {
    let (mut suites, mut wrong) = (Vec::new(), Vec::new());
    for path in paths {
        match fs::read(folder.join(path)) {
            Ok(bytes) => suites.push(Suite {
                name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                path: path.clone(),
                digest: Digest::of(&bytes),
                checks: Vec::new(),
                sudo: Default::default(),
            }),
            Err(_) => wrong.push(format!("{} cannot be read", path.display())),
        }
    }
    if wrong.is_empty() { Ok(suites) } else { Err(wrong) }
}

/// A working folder with one suite.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("smoke.hcl"), "suite").expect("written");
    folder
}

fn template(options: Json) -> TemplateOptions {
    let Json::Object(options) = options else { panic!("options are an object") };
    TemplateOptions { options, from_json_template: false, builder_type: Some("amazon-ebs".to_owned()) }
}

fn check_in(folder: &TempDir, template: &TemplateOptions) -> CheckedConfig {
    let mut input = CheckInput::new(EntryPoint::PostProcessor, folder.path());
    input.template = Some(template);
    input.load_suites = fake_suites;
    check(&input)
}

fn messages(checked: &CheckedConfig) -> Vec<String> {
    checked.errors.iter().map(ToString::to_string).collect()
}

fn only_message(options: Json) -> String {
    let folder = folder();
    let mut all = json!({"image": "base", "suites": ["smoke.hcl"]});
    for (name, value) in options.as_object().expect("an object") {
        all[name] = value.clone();
    }
    let messages = messages(&check_in(&folder, &template(all)));
    assert_eq!(messages.len(), 1, "{options}: {messages:#?}");
    messages.into_iter().next().expect("one")
}

#[test]
fn five_mistakes_are_five_messages() {
    let checked = check_in(
        &folder(),
        &template(json!({
            "image": "Base",
            "suites": ["smoke.hcl", "nosuch.hcl"],
            "ssh_timeout": "5 minutes",
            "temporary_security_group_source_cidrs": ["10.0.0.0/33"],
            "tags": {"Assay:state": "gold"},
        })),
    );
    assert!(checked.settings.is_none());
    insta::assert_snapshot!(messages(&checked).join("\n"), @r#"
    image: "Base" is not an image name; expected 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, like base (no "..", nor '.', .lock or .hcl at the end; evidence and allowed_signers are taken)
    suites: nosuch.hcl cannot be read
    ssh_timeout: "5 minutes" is not a duration; expected one like "90s" or "5m"
    temporary_security_group_source_cidrs: "10.0.0.0/33" is not an address block; expected one like "203.0.113.7/32"
    tags: the key "Assay:state" begins with "assay:", which is assay's alone
    "#);
}

#[test]
fn what_is_missing_is_named_once_with_the_place_for_it() {
    let checked = check_in(&folder(), &template(json!({})));
    insta::assert_snapshot!(messages(&checked).join("\n"), @r"
    image: is missing; it must be given
    suites: is missing; it must be given, here or in assay.hcl as image { suites { candidate } }
    ");
}

#[test]
fn a_complete_template_becomes_settings() {
    let folder = folder();
    fs::write(folder.path().join("user-data.yaml"), "#cloud-config\n").expect("written");
    let checked = check_in(
        &folder,
        &template(json!({
            "image": "base", "suites": ["smoke.hcl"], "ssh_username": "admin", "ssh_port": 2222, "ssh_timeout": "90s",
            "ssh_interface": "private_ip", "instance_type": "t3.micro", "subnet_ids": {"eu-west-1": "subnet-0abcdef1234567890"},
            "security_group_ids": ["sg-0abcdef1234567890"], "temporary_security_group_source_cidrs": ["0.0.0.0/0"],
            "user_data_file": "user-data.yaml", "run_tags": {"Team": "platform"}, "spot_price": "auto", "ttl": "30m",
            "tags": {"Team": "platform"}, "manifest": "build/manifest.json", "report_dir": "build/reports",
            "custom_data": {"a": "b"}, "on_failure": "destroy", "owner": "github.com/acme/images", "inputs": ["packer/**"],
            "region": "us-east-1", "assume_role": {"role_arn": "arn:aws:iam::123456789012:role/x", "duration_seconds": 900},
            "access_key": "AKIA", "secret_key": "s3cret", "max_retries": 3, "associate_public_ip_address": false,
            "subnet_filter": [], "prober": null,
        })),
    );
    assert_eq!(messages(&checked), Vec::<String>::new());
    let settings = checked.settings.expect("settings");
    assert_eq!(settings.image.as_ref().map(ImageName::as_str), Some("base"));
    assert_eq!(settings.ssh.timeout, Duration::from_secs(90));
    assert_eq!((settings.ssh.port, settings.ssh.interface), (2222, Some(SshInterface::PrivateIp)));
    assert_eq!(settings.launch.source_cidrs[0].prefix, 0);
    assert_eq!(settings.launch.user_data.as_deref(), Some(&b"#cloud-config\n"[..]));
    assert_eq!(settings.launch.subnets.len(), 1);
    assert_eq!(settings.launch.associate_public_ip_address, Some(false));
    assert_eq!(settings.manifest.as_deref(), Some(Path::new("build/manifest.json")), "as it was typed");
    assert_eq!(settings.on_failure, OnFailure::Destroy);
    assert_eq!(settings.access.assume_role.as_ref().and_then(|role| role.duration_seconds), Some(900));
    assert!(!format!("{settings:?}").contains("s3cret"), "a secret must not be printable");
}

#[test]
fn placeholders_of_the_first_configure_are_never_mistakes() {
    let folder = folder();
    let options = json!({
        "image": "base", "suites": [], "ssh_port": 0, "ssh_timeout": "<unknown>", "instance_type": "t3.<unknown>",
        "tags": {"Source": "<unknown>"}, "run_tags": {}, "keep_input_artifact": false, "max_retries": 0,
        "inputs": ["a/<unknown>"], "subnet_id": "<unknown>", "assume_role": {"role_arn": "<unknown>"},
    });
    let checked = check_in(&folder, &template(options));
    assert_eq!(messages(&checked), Vec::<String>::new());
    assert!(checked.settings.is_none());
    assert_eq!(
        checked.unknown,
        ["suites", "ssh_timeout", "instance_type", "tags", "inputs", "subnet_id", "assume_role"],
        "in the template's own order"
    );
    assert_eq!(checked.decided().expect_err("nothing more will become known").len(), 7);
}

#[test]
fn other_mistakes_are_still_found_beside_placeholders() {
    let checked =
        check_in(&folder(), &template(json!({"image": "<unknown>", "suites": ["nosuch"], "on_failure": "explode"})));
    assert_eq!(checked.unknown, ["image"]);
    assert_eq!(
        messages(&checked),
        [
            "suites: nosuch cannot be read",
            "on_failure: \"explode\" is not known; expected \"quarantine\" or \"destroy\""
        ]
    );
}

#[test]
fn each_refusal_names_the_option_and_the_cure() {
    insta::assert_snapshot!(
        [
            json!({"ssh_bastion_password": "x"}),
            json!({"ssh_bastion_agent_auth": true}),
            json!({"ssh_proxy_host": "x"}),
            json!({"winrm_username": "Administrator"}),
            json!({"ssh_private_key_file": "~/.ssh/id"}),
            json!({"run_tag": [{"key": "a", "value": "b"}]}),
            json!({"ssh_interface": "session_manager"}),
        ]
        .map(only_message)
        .join("\n"),
        @r#"
    ssh_bastion_password: is not supported: assay logs in to a bastion with ssh_bastion_private_key_file, unattended
    ssh_bastion_agent_auth: is not supported: assay logs in to a bastion with ssh_bastion_private_key_file, unattended
    ssh_proxy_host: is not supported: name the program that speaks to the proxy in ssh_proxy_command, like "nc -X 5 -x proxy:1080 {host} {port}"
    winrm_username: is not supported: assay logs in by SSH only; Windows images over WinRM cannot be tested
    ssh_private_key_file: is not supported: assay makes its own throw-away ed25519 key for each run; leave it out
    run_tag: is not supported: blocks of key and value are not read; write a map, like tags = { Team = "platform" }
    ssh_interface: "session_manager" is not supported: use ssh_proxy_command = "aws ssm start-session --target {instance_id} --document-name AWS-StartSSHSession --parameters portNumber={port}"
    "#
    );
}

#[test]
fn each_wrong_value_says_what_would_be_right() {
    let text = [
            json!({"instnace_type": "t3.small"}),
            json!({"ssh_port": 70000}),
            json!({"ssh_port": "ssh"}),
            json!({"ssh_username": "ad min"}),
            json!({"ttl": "1m"}),
            json!({"ssh_timeout": "2h"}),
            json!({"instance_type": "small"}),
            json!({"subnet_id": "vpc-0abcdef1234567890"}),
            json!({"subnet_ids": {"europe": "subnet-0abcdef1234567890"}}),
            json!({"subnet_id": "subnet-0abcdef1234567890", "subnet_ids": {"eu-west-1": "subnet-0abcdef1234567890"}}),
            json!({"subnet_ids": {"eu-west-1": "subnet-0abcdef1234567890,europe"}}),
            json!({"subnet_filter": {"random": true}}),
            json!({"vpc_filter": {"filters": {"tag:Class": "a,,b"}}}),
            json!({"security_group_filter": {"filters": {"tag:Class": "a"}, "random": true}}),
            json!({"instance_types": ["t3.small", "t3.small"]}),
            json!({"instance_type": "t3.small", "instance_types": ["t3.large"]}),
            json!({"instance_types": ["t3.small", "t3.large"], "instance_type_fallbacks": ["t3a.small"]}),
            json!({"spot_instance_types": ["t3.small"]}),
            json!({"max_parallel": 1.5}),
            json!({"user_data": "a", "user_data_file": "smoke.hcl"}),
            json!({"user_data": "x\n".repeat(6145)}),
            json!({"user_data_file": "nosuch"}),
            json!({"temporary_security_group_source_cidrs": ["10.0.0.0/8"], "temporary_security_group_source_public_ip": true}),
            json!({"spot_price": "-1"}),
            json!({"iam_instance_profile": "arn:aws:iam::123456789012:instance-profile/x"}),
            json!({"tags": {"aws:x": "y"}}),
            json!({"tags": {"k": "v".repeat(257)}}),
            json!({"run_tags": (0..41).map(|n| (format!("k{n}"), "v".into())).collect::<serde_json::Map<_, _>>()}),
            json!({"region": "Frankfurt"}),
            json!({"secret_key": "s3cret"}),
            json!({"custom_endpoint_ec2": "localhost:5000"}),
            json!({"assume_role": {"external_id": "x"}}),
            json!({"assume_role": {"role_arn": "arn:aws:iam::123456789012:role/x", "polcy": "x"}}),
            json!({"on_failure": "keep"}),
            json!({"suites": "smoke.hcl"}),
            json!({"report_dir": "smoke.hcl"}),
            json!({"manifest": "."}),
            json!({"manifest": "packer-manifest.json"}),
            json!({"manifest": "out/junit.xml", "report_dir": "out"}),
            json!({"manifest": "smoke.hcl/manifest.json"}),
        ]
        .map(only_message)
        .join("\n");
    insta::assert_snapshot!(text);
}

#[test]
fn legacy_json_templates_are_read_without_packers_help() {
    let folder = folder();
    let mut template = template(json!({
        "image": "base", "suites": ["smoke.hcl"], "ssh_port": "22", "ssh_username": "{{user `who`}}", "suits": [],
        "keep_input_artifact": "true", "assume_role": [{"role_arn": "arn:aws:iam::123456789012:role/x"}],
    }));
    template.from_json_template = true;
    let checked = check_in(&folder, &template);
    insta::assert_snapshot!(messages(&checked).join("\n"), @r#"
    ssh_username: contains "{{", and Packer does not evaluate this in legacy JSON templates for assay; write the value out, or use an HCL2 template (`packer hcl2_upgrade`)
    suits: there is no such option; did you mean "suites"?
    "#);
    template.options.remove("ssh_username");
    template.options.remove("suits");
    assert_eq!(check_in(&folder, &template).settings.expect("settings").ssh.port, 22);
}

#[test]
fn a_builder_that_makes_no_ami_is_refused() {
    let mut template = template(json!({"image": "base", "suites": ["smoke.hcl"]}));
    template.builder_type = Some("azure-arm".to_owned());
    assert_eq!(
        messages(&check_in(&folder(), &template)),
        [
            "packer_builder_type: this build is by \"azure-arm\", which makes no AMI to test: it makes an Azure image; put the \
          post-processor behind an amazon builder, or limit it with `only`"
        ]
    );
    // A file that a script made becomes an AMI by amazon-import, which stands before assay.
    template.builder_type = Some("null".to_owned());
    assert!(check_in(&folder(), &template).settings.is_some());
}

#[test]
fn keeping_the_artifact_is_forced_and_said() {
    let checked =
        check_in(&folder(), &template(json!({"image": "base", "suites": ["smoke.hcl"], "keep_input_artifact": false})));
    assert!(checked.settings.is_some());
    assert!(checked.notes[0].contains("keep_input_artifact is always true"), "{:?}", checked.notes);
}

#[test]
fn the_template_outweighs_assay_hcl_as_a_whole_and_paths_keep_their_origin() {
    let folder = folder();
    let below = folder.path().join("packer");
    fs::create_dir(&below).expect("made");
    fs::write(
        folder.path().join("assay.hcl"),
        r#"
owner = "github.com/acme/images"
access {
  region = "eu-west-1"
}
image "base" {
  inputs   = ["packer"]
  manifest = "build/manifest.json"
  suites {
    candidate = ["smoke.hcl"]
    gold      = ["smoke.hcl"]
  }
  ssh {
    username = "debian"
    port     = 2222
  }
  launch {
    user_data_file = "nosuch"
    instance_type  = "t3.nano"
  }
  tags = { A = "file", B = "file" }
  projection "infra/base.auto.tfvars" {
    variable = "base_ami"
  }
}
"#,
    )
    .expect("written");
    let template = template(json!({"image": "base", "ssh_port": 22, "user_data": "mine", "tags": {"A": "template"}}));
    let mut input = CheckInput::new(EntryPoint::PostProcessor, &below);
    input.template = Some(&template);
    input.load_suites = fake_suites;
    let checked = check(&input);
    assert_eq!(messages(&checked), Vec::<String>::new(), "user_data outweighs the file's user_data_file");
    let settings = checked.settings.expect("settings");
    assert_eq!(settings.ssh.port, 22);
    assert_eq!(settings.ssh.username.as_deref(), Some("debian"));
    assert_eq!(settings.tags.len(), 1, "maps are not joined");
    assert_eq!(settings.base_dir, folder.path());
    assert_eq!(settings.projections, ["infra/base.auto.tfvars"]);
    assert_eq!(settings.manifest.as_deref(), Some(folder.path().join("build/manifest.json").as_path()));
    assert_eq!(settings.access.region.expect("region").as_str(), "eu-west-1");
    assert_eq!(settings.suites[0].name, "smoke");
}

#[test]
fn an_image_that_assay_hcl_does_not_declare_is_a_slip() {
    let folder = folder();
    fs::write(
        folder.path().join("assay.hcl"),
        "image \"base\" {\n  suites {\n    candidate = [\"smoke.hcl\"]\n  }\n}\n",
    )
    .expect("written");
    let checked = check_in(&folder, &template(json!({"image": "bsae"})));
    assert_eq!(
        messages(&checked),
        ["image: assay.hcl declares no image \"bsae\", but base; did you mean \"base\"?"],
        "and the suites are not missing too"
    );
}

#[test]
fn the_command_line_speaks_of_flags() {
    let folder = folder();
    let mut input = CheckInput::new(EntryPoint::Command, folder.path());
    input.load_suites = fake_suites;
    assert_eq!(
        messages(&check(&input)),
        [
            "--suite: is missing; it must be given, here or in assay.hcl as image { suites { candidate } }",
            "--ssh-username: is missing; it must be given, here or in assay.hcl as image { ssh { username } }",
        ]
    );
}

#[test]
fn on_the_command_line_the_only_image_of_assay_hcl_is_meant() {
    let folder = folder();
    let image = |name: &str| {
        format!(
            "image \"{name}\" {{\n  suites {{\n    candidate = [\"smoke.hcl\"]\n  }}\n  ssh {{\n    username = \"admin\"\n  }}\n}}\n"
        )
    };
    let checked = |text: &str| {
        fs::write(folder.path().join("assay.hcl"), text).expect("written");
        let mut input = CheckInput::new(EntryPoint::Command, folder.path());
        input.load_suites = fake_suites;
        check(&input)
    };
    let settings = checked(&image("base")).settings.expect("settings");
    assert_eq!(settings.image.as_ref().map(ImageName::as_str), Some("base"));
    let two = checked(&(image("base") + &image("app")));
    assert_eq!(two.errors.len(), 2, "neither image's suites and user: {:?}", messages(&two));
}

#[test]
fn a_config_file_that_is_named_must_be_there() {
    let checked =
        check_in(&folder(), &template(json!({"image": "base", "config": "nosuch.hcl", "ssh_username": "admin"})));
    let messages = messages(&checked);
    assert_eq!(messages.len(), 1, "{messages:#?}");
    assert!(messages[0].starts_with("config: cannot read nosuch.hcl: "), "{messages:#?}");
}

#[test]
fn where_and_as_what_is_launched() {
    let folder = folder();
    let launch = |options: Json| {
        let mut all = json!({"image": "base", "suites": ["smoke.hcl"]});
        all.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
        let checked = check_in(&folder, &template(all));
        assert_eq!(messages(&checked), Vec::<String>::new());
        checked.settings.expect("settings").launch
    };
    let plain = launch(json!({}));
    assert_eq!((plain.instance_types.len(), plain.max_parallel), (0, 20));
    assert!(plain.subnet_filter.is_none() && plain.vpc_filter.is_none() && plain.security_group_filter.is_none());
    let matrix = launch(json!({"instance_types": ["t3.small", "t3.large"], "max_parallel": 2}));
    assert_eq!((matrix.instance_types, matrix.max_parallel), (vec!["t3.small".to_owned(), "t3.large".to_owned()], 2));
    let spot = launch(json!({"spot_price": "auto", "spot_instance_types": ["t3.small", "t3a.small", "m5.large"]}));
    assert_eq!((spot.instance_types.as_slice(), spot.fallback_types.len()), (&["t3.small".to_owned()][..], 2));
    let network = launch(json!({
        "subnet_ids": {"eu-west-1": "subnet-0abcdef1234567890, subnet-0abcdef1234567891"},
        "subnet_filter": [{"filters": {"tag:Class": "build, test"}, "most_free": true, "random": true}],
        "vpc_filter": {"filters": {"isDefault": true}},
        "security_group_id": "sg-0abcdef1234567890", "security_group_filter": {"filters": {"group-name": "ssh"}},
    }));
    assert_eq!(network.subnets.values().next().map(Vec::len), Some(2));
    let filter = network.subnet_filter.expect("a filter");
    assert_eq!(filter.filters["tag:Class"], ["build", "test"]);
    assert_eq!(filter.pick, SubnetPick::MostFree, "as amazon's builders decide");
    assert_eq!(network.vpc_filter.expect("a filter")["isDefault"], ["true"]);
}

#[test]
fn a_template_that_says_where_outweighs_every_other_way_to_say_it() {
    let folder = folder();
    let file = "image \"base\" {\n  launch {\n    subnet_id = \"subnet-0abcdef1234567890\"\n    instance_type = \"t3.nano\"\n    vpc_filter {\n      filters = { \"tag:a\" = \"b\" }\n    }\n  }\n}\n";
    fs::write(folder.path().join("assay.hcl"), file).expect("written");
    let options = json!({
        "image": "base", "suites": ["smoke.hcl"], "instance_types": ["t3.small", "t3.large"],
        "subnet_filter": {"filters": {"tag:Class": "test"}, "random": true},
    });
    let checked = check_in(&folder, &template(options));
    assert_eq!(messages(&checked), Vec::<String>::new());
    let launch = checked.settings.expect("settings").launch;
    assert_eq!((launch.subnet_id, launch.instance_types.len()), (None, 2));
    assert_eq!(launch.subnet_filter.expect("the template's").pick, SubnetPick::Random);
    assert_eq!(launch.vpc_filter.expect("the file's")["tag:a"], ["b"]);
}
