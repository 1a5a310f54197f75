//! What `assay doctor` looks at, from assay.hcl: regions with launches and with copies, types, networks, the protected branch. It owns no judgement; what is
//! right is `run::doctor`'s.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value as Json;

use super::{
    file::{ConfigFile, ImageDecl},
    request::OutputFormat,
    settings::{AccessSettings, ProberSettings},
};
use assay_iam::IamRole;
use assay_model::{Architecture, ImageName, Region};

/// `assay doctor`.
#[derive(Debug, Clone)]
pub struct DoctorRequest {
    /// As whom; absent: everything is looked at.
    pub role: Option<IamRole>,
    /// Only what a CI job has and may: its service, its token, git, and its role where it has one.
    pub ci: bool,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// The images that are meant.
    pub images: Vec<ImageName>,
    /// Where something is looked at.
    pub regions: Vec<Region>,
    /// Of these, where test instances are launched, and what that takes; the others are copied to.
    pub launches: BTreeMap<Region, LaunchPlace>,
    /// Security groups of the configuration.
    pub security_groups: Vec<String>,
    /// Where the prober runs.
    pub prober: ProberSettings,
    /// The folder of assay.hcl.
    pub folder: PathBuf,
    /// The protected branch and its remote.
    pub branch: String,
    /// See `branch`.
    pub remote: Option<String>,
    /// The mistakes of assay.hcl and its suites; `None`: there is no assay.hcl.
    pub mistakes: Option<Vec<String>>,
    /// How it is printed.
    pub format: OutputFormat,
}

/// What launches in one region take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchPlace {
    /// Types that are tested on.
    pub instance_types: BTreeSet<String>,
    /// Types that are tried where there is no room for those.
    pub fallback_types: BTreeSet<String>,
    /// The subnets that are named.
    pub subnets: BTreeSet<String>,
    /// The first VPC that is named.
    pub vpc: Option<String>,
    /// Whether an image is launched where EC2 chooses: no subnet and no VPC is named, by id or by filter (as `launch::network` reads them).
    pub default_vpc: bool,
}

/// What assay.hcl says of where test instances go, and copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchPlaces {
    /// Regions with launches. An image that names none may be in any of them.
    pub launches: BTreeMap<Region, LaunchPlace>,
    /// Every image's launches, for a region that assay.hcl does not name; of subnets none that belongs to another.
    pub elsewhere: LaunchPlace,
    /// Regions that gold is copied to.
    pub copies: BTreeSet<Region>,
    /// Security groups.
    pub security_groups: BTreeSet<String>,
}

/// The places of `images` in `file`; none named: of all.
pub fn places(file: &ConfigFile, images: &[ImageName]) -> LaunchPlaces {
    let meant: Vec<&ImageDecl> =
        file.images.iter().filter(|image| images.is_empty() || images.contains(&image.name)).collect();
    let all: BTreeSet<Region> = meant.iter().flat_map(|image| launch_regions(image)).collect();
    let mut places = LaunchPlaces::default();
    for image in meant {
        let of_image = launch_regions(image);
        let possible = if of_image.is_empty() { &all } else { &of_image };
        for region in possible {
            let place = launch_place(image, Some(region), possible.len() == 1);
            places.launches.entry(region.clone()).or_default().merge(place);
        }
        places.elsewhere.merge(launch_place(image, None, of_image.is_empty()));
        places.copies.extend(image.distribution.ami_regions.iter().cloned());
        places.security_groups.extend(texts(image, &["security_group_id", "security_group_ids"]));
    }
    places
}

impl LaunchPlaces {
    /// What launches in each of `regions` take.
    pub fn launches_in(&self, regions: &BTreeSet<Region>) -> BTreeMap<Region, LaunchPlace> {
        let mut elsewhere = self.elsewhere.clone();
        if regions.len() > 1 {
            elsewhere.subnets.clear();
        }
        regions.iter().map(|region| (region.clone(), self.launches.get(region).unwrap_or(&elsewhere).clone())).collect()
    }
}

impl LaunchPlace {
    fn merge(&mut self, other: Self) {
        self.instance_types.extend(other.instance_types);
        self.fallback_types.extend(other.fallback_types);
        self.subnets.extend(other.subnets);
        self.vpc = self.vpc.take().or(other.vpc);
        self.default_vpc |= other.default_vpc;
    }
}

fn value<'a>(image: &'a ImageDecl, option: &str) -> Option<&'a Json> {
    image.options.given.get(option).map(|given| &given.value)
}

/// Every text of these options, one or a list.
fn texts(image: &ImageDecl, options: &[&str]) -> Vec<String> {
    let of_one = |value: &Json| match value {
        Json::Array(items) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        Json::String(text) => vec![text.clone()],
        _ => Vec::new(),
    };
    let all = options.iter().filter_map(|option| value(image, option)).flat_map(of_one);
    all.filter(|text| !text.is_empty()).collect()
}

/// `subnet_ids`, read.
fn subnets_by_region(image: &ImageDecl) -> BTreeMap<Region, Vec<String>> {
    let given = value(image, "subnet_ids").and_then(Json::as_object).into_iter().flatten();
    let ids = |list: &Json| {
        list.as_str()
            .unwrap_or_default()
            .split(',')
            .map(|id| id.trim().to_owned())
            .filter(|id| !id.is_empty())
            .collect()
    };
    given.filter_map(|(region, list)| Some((region.parse().ok()?, ids(list)))).collect()
}

fn launch_regions(image: &ImageDecl) -> BTreeSet<Region> {
    image.regions.iter().cloned().chain(subnets_by_region(image).into_keys()).collect()
}

/// What launches of this image take in `region`; without one: in a region that assay.hcl does not name. `only`: it is launched in no other, so a subnet without a
/// region is there.
fn launch_place(image: &ImageDecl, region: Option<&Region>, only: bool) -> LaunchPlace {
    let mut subnets: BTreeSet<String> =
        region.and_then(|region| subnets_by_region(image).remove(region)).into_iter().flatten().collect();
    let anywhere = texts(image, &["subnet_id"]);
    let chosen = !subnets.is_empty()
        || !anywhere.is_empty()
        || ["vpc_id", "subnet_filter", "vpc_filter"].iter().any(|option| value(image, option).is_some());
    if subnets.is_empty() && only {
        subnets.extend(anywhere);
    }
    let (instance_types, fallback_types) = types(image);
    let vpc = texts(image, &["vpc_id"]).into_iter().next();
    LaunchPlace { instance_types, fallback_types, subnets, vpc, default_vpc: !chosen }
}

/// What an image is tested on, and what is tried where EC2 has no room for it (as `check::launch` reads them).
fn types(image: &ImageDecl) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut spot = texts(image, &["spot_instance_types"]).into_iter();
    let mut tested: BTreeSet<String> = texts(image, &["instance_type", "instance_types"]).into_iter().collect();
    tested.extend(spot.next());
    let fallbacks = texts(image, &["instance_type_fallbacks"]).into_iter().chain(spot).collect();
    if tested.is_empty() {
        let named = if image.architectures.is_empty() { &[Architecture::X86_64][..] } else { &image.architectures };
        tested.extend(named.iter().map(|architecture| architecture.default_instance_type().to_owned()));
    }
    (tested, fallbacks)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file;

    fn places_of(text: &str) -> LaunchPlaces {
        let mut problems = Vec::new();
        let file = file::parse(Path::new("assay.hcl"), Path::new("assay.hcl"), text, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        places(&file.expect("a file"), &[])
    }

    fn words(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    fn region(name: &str) -> Region {
        name.parse().expect("a region")
    }

    #[test]
    fn where_gold_is_only_copied_to_nothing_is_launched() {
        let places = places_of(
            r#"image "base" {
              inputs  = ["packer/**"]
              regions = ["us-east-1"]
              distribution {
                ami_regions = ["us-east-1", "eu-west-1"]
              }
            }"#,
        );
        assert_eq!(places.launches.keys().map(Region::as_str).collect::<Vec<_>>(), ["us-east-1"]);
        assert_eq!(places.copies.iter().map(Region::as_str).collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
    }

    #[test]
    fn types_are_those_of_the_images_of_a_region_and_fallbacks_are_told_apart() {
        let places = places_of(
            r#"image "base" {
              inputs        = ["packer/**"]
              regions       = ["us-east-1"]
              architectures = ["arm64"]
            }
            image "app" {
              inputs  = ["packer/**"]
              regions = ["eu-west-1"]
              launch {
                instance_type           = "m7i.large"
                instance_type_fallbacks = ["m6i.large"]
              }
            }
            image "spot" {
              inputs  = ["packer/**"]
              launch {
                spot_price          = "auto"
                spot_instance_types = ["c7i.large", "c6i.large"]
              }
            }"#,
        );
        let types_in = |name: &str| {
            let place = &places.launches_in(&[region(name)].into())[&region(name)];
            (words(&place.instance_types).join(" "), words(&place.fallback_types).join(" "))
        };
        assert_eq!(types_in("us-east-1"), ("c7i.large t4g.small".to_owned(), "c6i.large".to_owned()));
        assert_eq!(types_in("eu-west-1"), ("c7i.large m7i.large".to_owned(), "c6i.large m6i.large".to_owned()));
        let elsewhere = "c7i.large m7i.large t4g.small".to_owned();
        assert_eq!(types_in("ap-southeast-2"), (elsewhere, "c6i.large m6i.large".to_owned()), "given by --region");
    }

    #[test]
    fn the_default_vpc_is_needed_only_where_no_network_is_named_by_id_or_filter() {
        let needs = |launch: &str| {
            let text = format!(
                "image \"base\" {{\n  inputs = [\"packer/**\"]\n  regions = [\"us-east-1\", \"eu-west-1\"]\n  launch {{\n    {launch}\n  }}\n}}\n"
            );
            let places = places_of(&text);
            ["us-east-1", "eu-west-1"].map(|name| places.launches[&region(name)].default_vpc)
        };
        assert_eq!(needs("ttl = \"1h\""), [true, true]);
        for chosen in [
            "subnet_id = \"subnet-0aaaaaaaaaaaaaaa1\"",
            "vpc_id = \"vpc-0aaaaaaaaaaaaaaa1\"",
            "subnet_filter {\n      filters = { \"tag:Class\" = \"test\" }\n    }",
            "vpc_filter {\n      filters = { \"tag:Class\" = \"test\" }\n    }",
        ] {
            assert_eq!(needs(chosen), [false, false], "{chosen}");
        }
        assert_eq!(needs("subnet_ids = { us-east-1 = \"subnet-0aaaaaaaaaaaaaaa1\" }"), [false, true]);
    }

    #[test]
    fn a_subnet_is_looked_for_in_its_own_region_alone() {
        let subnets = |regions: &str, asked: &[&str]| -> Vec<String> {
            let launch = "launch {\n    subnet_id = \"subnet-0aaaaaaaaaaaaaaa1\"\n  }";
            let places =
                places_of(&format!("image \"base\" {{\n  inputs = [\"packer/**\"]\n  {regions}\n  {launch}\n}}\n"));
            let launches = places.launches_in(&asked.iter().map(|name| region(name)).collect());
            let with = launches.into_iter().filter(|(_, place)| !place.subnets.is_empty());
            with.map(|(region, _)| region.as_str().to_owned()).collect()
        };
        let here = "regions = [\"us-east-1\"]";
        assert_eq!(subnets(here, &["us-east-1", "eu-west-1"]), ["us-east-1"]);
        assert_eq!(subnets(here, &["eu-west-1"]), [""; 0], "--region names another");
        assert_eq!(subnets("regions = [\"us-east-1\", \"eu-west-1\"]", &["us-east-1", "eu-west-1"]), [""; 0]);
        assert_eq!(subnets("", &["eu-west-1"]), ["eu-west-1"], "no other is known");
        assert_eq!(subnets("", &["eu-west-1", "us-east-1"]), [""; 0]);
    }
}
