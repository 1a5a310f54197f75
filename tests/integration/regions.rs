//! Several regions and several Packers.

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    support::{cloud::Cloud, packer::Workshop},
};

#[test]
fn three_regions_are_tested_in_one_build_and_each_is_stamped() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let regions = ["eu-west-1", "us-east-1", "us-west-2"];
    let amis: Vec<(String, String)> =
        regions.iter().map(|r| ((*r).to_owned(), cloud.own_image("light", r, "everywhere"))).collect();
    let named: Vec<String> = amis.iter().map(|(region, ami)| format!("{region}:{ami}")).collect();
    workshop.build_surrogate(&named.join(","), LIGHT).expect(0);
    for (region, ami) in &amis {
        assert_eq!(cloud.image(ami)["tags"]["assay:state"], "candidate", "{region}");
    }
    cloud.wait_until_clean(10);
}

#[test]
fn gob_where_packer_is_told_to_use_it() {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    workshop.set("PACKER_FORCE_GOB", "1");
    workshop.write("light.hcl", LIGHT_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "gob");
    workshop.build_surrogate(&format!("us-east-1:{ami}"), LIGHT).expect(0);
    assert_eq!(cloud.image(&ami)["tags"]["assay:state"], "candidate");
}
