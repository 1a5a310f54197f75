//! The same binary under Packer 1.11.2 and 1.7.10, which ask for gob. Run by `make test-packers`.

use crate::{
    build::last_ami,
    support::{cloud::Cloud, packer::Workshop},
};

fn builds_base(version: &str) {
    let cloud = Cloud::start();
    let workshop = Workshop::with_packer(&cloud, version);
    workshop.build_base(&["-var", "ssh_username=debian"]).expect(0);
    assert_eq!(cloud.image(&last_ami(&workshop))["tags"]["assay:state"], "candidate");
    cloud.wait_until_clean(5);
}

#[test]
fn packer_1_11_2() {
    builds_base("1.11.2");
}

#[test]
fn packer_1_7_10() {
    builds_base("1.7.10");
}
