//! What Packer does with an AMI whose post-processor failed, in templates without a second chain: nothing but assay's own protection, or
//! its absence, decides then. With a second chain Packer never destroys, so those templates prove neither.

use serde_json::{Value, json};

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    support::{
        cloud::Cloud,
        packer::{Built, Workshop},
    },
};

const FAILING_SUITE: &str = r#"suite "light" {
  file "/etc/passwd" {
    exists = true
    mode   = "0600"
  }
}
"#;

/// A template without its `post-processor "manifest"` chain.
fn without_second_chain(template: &str) -> String {
    let begin = template.find("  post-processor \"manifest\"").expect("a second chain");
    let end = begin + template[begin..].find("\n  }\n").expect("its end") + "\n  }\n".len();
    format!("{}{}", &template[..begin], &template[end..])
}

/// Packer with the small builder whose Destroy leaves a mark.
fn surrogate(workshop: &Workshop, ami: &str, settings: &str) -> Built {
    let template = crate::support::packer::SURROGATE.replace("@SETTINGS@", settings);
    workshop.write("surrogate.pkr.hcl", &without_second_chain(&template));
    workshop.packer(&["build", "-color=false", "-var", &format!("ami=us-east-1:{ami}"), "surrogate.pkr.hcl"])
}

/// The shipped base template with the real amazon-ebs builder, and `settings` in the assay block.
fn base(workshop: &Workshop, settings: &str) -> Built {
    let template = without_second_chain(&workshop.read("packer/base.pkr.hcl"));
    let block = "report_dir = \"build/reports/base\"\n";
    assert!(template.contains(block), "the template's assay block has another form");
    workshop.write("packer/base.pkr.hcl", &template.replace(block, &format!("{block}{settings}")));
    workshop.build_base(&["-var", "ssh_username=debian"])
}

/// The AMIs that Packer built here: those of ours that carry assay's tags.
fn built_images(cloud: &Cloud) -> Vec<Value> {
    let inventory = cloud.inventory();
    let images = inventory["images"].as_array().expect("images").iter();
    images.filter(|image| image["tags"]["assay:image"] == "base").cloned().collect()
}

#[test]
fn a_failed_ami_with_destroy_is_given_to_packer_which_destroys_it() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", FAILING_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "to-be-destroyed");
    surrogate(&workshop, &ami, &format!("{LIGHT}    on_failure = \"destroy\"\n")).expect(1);
    assert!(workshop.path().join("destroyed").exists(), "Packer destroys what no chain has kept");
    assert_eq!(cloud.image(&ami)["protected"], false);
}

#[test]
fn a_failed_ami_without_destroy_is_protected_when_packer_destroys() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", FAILING_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "to-be-kept");
    surrogate(&workshop, &ami, LIGHT).expect(1);
    assert!(workshop.path().join("destroyed").exists(), "Packer tries");
    assert_eq!(cloud.image(&ami)["protected"], true, "and EC2 would refuse");
}

#[test]
fn an_undecided_ami_of_the_real_builder_survives_packer_even_with_destroy() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    // Of the two, assay alone imports its key pair.
    cloud.faults(json!([{ "action": "ImportKeyPair", "times": 1000, "kind": "error", "code": "RequestLimitExceeded", "status": 503, "message": "slow down" }]));
    let settings = "    suites = [\"light.hcl\"]\n    on_failure = \"destroy\"\n    ssh_timeout = \"10s\"\n";
    let red = base(&workshop, settings).expect(1);
    red.says("undecided");
    assert!(cloud.calls().iter().any(|call| call["action"] == "DeregisterImage"), "Packer tried:\n{}", red.text);
    let images = built_images(&cloud);
    assert_eq!(images.len(), 1, "{images:#?}\n{}", red.text);
    assert_eq!(images[0]["tags"]["assay:state"], "untested");
    let snapshot = images[0]["snapshots"][0].as_str().expect("a snapshot");
    let inventory = cloud.inventory();
    let snapshots = inventory["snapshots"].as_array().expect("snapshots");
    assert!(snapshots.iter().any(|it| it["id"] == snapshot), "its snapshot is there too: {snapshots:#?}");
}

#[test]
fn a_failed_ami_of_the_real_builder_is_gone_with_destroy() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", FAILING_SUITE);
    let red = base(&workshop, "    suites = [\"light.hcl\"]\n    on_failure = \"destroy\"\n").expect(1);
    red.says("0600");
    assert_eq!(built_images(&cloud), Vec::<Value>::new(), "{}", red.text);
}
