//! What `assay doctor` looks at, from assay.hcl: regions, types, networks, the protected branch. It owns no judgement; what is right is `run::doctor`'s.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value as Json;

use super::{
    file::{ConfigFile, ImageDecl},
    request::Format,
    settings::{AccessSettings, ProberSettings},
};
use crate::{
    iam::Role,
    model::{Architecture, ImageName, Region},
};

/// `assay doctor`.
#[derive(Debug, Clone)]
pub struct DoctorRequest {
    /// As whom; absent: everything is looked at.
    pub role: Option<Role>,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// The images that are meant.
    pub images: Vec<ImageName>,
    /// Where.
    pub regions: Vec<Region>,
    /// Types of test instances.
    pub instance_types: Vec<String>,
    /// The subnets of the configuration, by region; without a region: of the only one.
    pub subnets: BTreeMap<Region, Vec<String>>,
    /// The VPC that is configured.
    pub vpc: Option<String>,
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
    pub format: Format,
}

/// What assay.hcl says of where test instances go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Every region that is named.
    pub regions: BTreeSet<Region>,
    /// Types of test instances.
    pub instance_types: BTreeSet<String>,
    /// Subnets by region.
    pub subnets: BTreeMap<Region, Vec<String>>,
    /// Subnets without a region.
    pub subnet_ids: BTreeSet<String>,
    /// The first VPC that is named.
    pub vpc: Option<String>,
    /// Security groups.
    pub security_groups: BTreeSet<String>,
}

/// The places of `images` in `file`; none named: of all.
pub fn places(file: &ConfigFile, images: &[ImageName]) -> Places {
    let mut places = Places::default();
    let meant = |image: &&ImageDecl| images.is_empty() || images.contains(&image.name);
    for image in file.images.iter().filter(meant) {
        places.add(image);
    }
    places
}

impl Places {
    fn add(&mut self, image: &ImageDecl) {
        let value = |option: &str| image.options.given.get(option).map(|given| &given.value);
        let texts = |options: &[&str]| -> Vec<String> {
            let one = |value: &Json| match value {
                Json::Array(items) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
                Json::String(text) => vec![text.clone()],
                _ => Vec::new(),
            };
            options.iter().filter_map(|option| value(option)).flat_map(one).collect()
        };
        self.regions.extend(image.regions.iter().chain(&image.distribution.ami_regions).cloned());
        for (region, list) in value("subnet_ids").and_then(Json::as_object).into_iter().flatten() {
            let Ok(region) = region.parse::<Region>() else { continue };
            let ids = list.as_str().unwrap_or_default().split(',').map(|id| id.trim().to_owned());
            self.regions.insert(region.clone());
            self.subnets.entry(region).or_default().extend(ids);
        }
        self.subnet_ids.extend(texts(&["subnet_id"]));
        self.security_groups.extend(texts(&["security_group_id", "security_group_ids"]));
        self.vpc = self.vpc.take().or_else(|| texts(&["vpc_id"]).into_iter().next());
        let types = texts(&["instance_type", "instance_types", "spot_instance_types"]);
        if types.is_empty() {
            let default = |architecture: &Architecture| match architecture {
                Architecture::X86_64 => "t3.small".to_owned(),
                Architecture::Arm64 => "t4g.small".to_owned(),
            };
            let named = if image.architectures.is_empty() { &[Architecture::X86_64][..] } else { &image.architectures };
            self.instance_types.extend(named.iter().map(default));
        }
        self.instance_types.extend(types);
        self.instance_types.extend(texts(&["instance_type_fallbacks"]));
    }
}
