//! Who uses an AMI: every place of one account and region that names one, brought together and resolved. It owns what counts as a use and what becomes of
//! a name that leads to no AMI; the places themselves are read by `templates` and `fleets`. It refuses to take "could not be learned" for "not used".

use std::collections::{BTreeMap, BTreeSet};

use super::{Ec2Cloud, FILTER_VALUES, convert};
use crate::cloud::{CloudErrorKind, CloudResult, ImageUse, ImageUses, RegionServices, UseKind, plain};
use assay_model::AmiId;

/// Every state in which an instance still has its AMI: all but terminated ("Instance lifecycle" in the EC2 user guide).
const LIVING: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];
/// What stands before the name of a parameter where an AMI id is expected.
const BY_PARAMETER: &str = "resolve:ssm:";

/// A place that names an AMI: the text as it stands there, and the use that it would be.
pub(super) struct ImageMention {
    pub(super) image: String,
    pub(super) by: ImageUse,
}

impl ImageMention {
    /// `None` where the place names no AMI at all.
    pub(super) fn new(image: Option<&str>, kind: UseKind, id: &str, detail: String) -> Option<Self> {
        let image = image.filter(|image| !image.is_empty())?.to_owned();
        Some(Self { image, by: ImageUse { kind, id: plain(id), detail } })
    }
}

impl Ec2Cloud {
    /// See [`crate::cloud::ImageEstate::uses_of_images`].
    pub(super) async fn uses_of(&self, ids: &[AmiId]) -> CloudResult<ImageUses> {
        if ids.is_empty() {
            return Ok(ImageUses::default());
        }
        let mut sightings = self.instances_of(ids).await?;
        let templates = self.launch_templates().await?;
        sightings.extend(templates.iter().flat_map(|template| template.sightings()));
        sightings.extend(self.scaling_sightings(&templates).await?);
        sightings.extend(self.fleet_sightings().await?);
        sightings.retain(|sighting| !is_of_aws(&sighting.image));
        let parameters = self.parameters_of(&sightings).await?;
        Ok(sorted(sightings, ids, &parameters))
    }

    async fn instances_of(&self, ids: &[AmiId]) -> CloudResult<Vec<ImageMention>> {
        let mut found = Vec::new();
        for ids in ids.chunks(FILTER_VALUES) {
            let states = convert::filter("instance-state-name", LIVING.map(str::to_owned));
            let images = convert::filter("image-id", ids.iter().map(AmiId::to_string));
            for instance in self.instances_where(vec![images, states]).await? {
                found.extend(ImageMention::new(Some(&instance.image), UseKind::Instance, &instance.id, instance.state));
            }
        }
        Ok(found)
    }

    /// The value of every parameter that a sighting names; an error's words where one cannot be read.
    async fn parameters_of(&self, sightings: &[ImageMention]) -> CloudResult<BTreeMap<String, Result<String, String>>> {
        let names: BTreeSet<&str> = sightings.iter().filter_map(|s| s.image.strip_prefix(BY_PARAMETER)).collect();
        let mut values = BTreeMap::new();
        for name in names {
            let value = match self.get_parameter(name).await {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err("is not there".to_owned()),
                Err(error) if is_of_the_moment(error.kind) => return Err(error),
                Err(error) => Err(format!("cannot be read: {error}")),
            };
            values.insert(name.to_owned(), value);
        }
        Ok(values)
    }
}

/// Whether another try may well go better, so that nothing is known of any parameter by it.
fn is_of_the_moment(kind: CloudErrorKind) -> bool {
    matches!(kind, CloudErrorKind::Unknown | CloudErrorKind::Throttled | CloudErrorKind::Credentials)
}

/// Whether an AMI is named by a public parameter of AWS ("Working with public parameters" in the Systems Manager user guide): its AMIs are never an account's
/// own, and a role need not be allowed to read it. Nobody else can make a parameter of such a name.
fn is_of_aws(image: &str) -> bool {
    let name = image.strip_prefix(BY_PARAMETER);
    name.is_some_and(|name| name.split_once("::parameter").map_or(name, |(_, name)| name).starts_with("/aws/service/"))
}

/// Each sighting at its AMI, where that is one of `wanted`; at the unknown ones where the text leads to no AMI id.
fn sorted(
    sightings: Vec<ImageMention>,
    wanted: &[AmiId],
    parameters: &BTreeMap<String, Result<String, String>>,
) -> ImageUses {
    let wanted: BTreeSet<&AmiId> = wanted.iter().collect();
    let mut uses = ImageUses::default();
    for ImageMention { image, mut by } in sightings {
        let meant = match image.strip_prefix(BY_PARAMETER) {
            None => image.parse::<AmiId>().map_err(|_| format!("names {:?}, which is no AMI id", plain(&image))),
            Some(name) => by_parameter(name, parameters),
        };
        match meant {
            Ok(id) if wanted.contains(&id) => uses.found.entry(id).or_default().push(by),
            Ok(_) => {}
            Err(why) => {
                let space = if by.detail.is_empty() { "" } else { " " };
                by.detail = format!("{}{space}{why}", by.detail);
                uses.unknown.push(by);
            }
        }
    }
    for list in uses.found.values_mut().chain([&mut uses.unknown]) {
        list.sort();
        list.dedup();
    }
    uses
}

fn by_parameter(name: &str, parameters: &BTreeMap<String, Result<String, String>>) -> Result<AmiId, String> {
    let shown = plain(name);
    match parameters.get(name) {
        Some(Ok(value)) => {
            value.trim().parse().map_err(|_| format!("takes SSM parameter {shown}, whose value is no AMI id"))
        }
        Some(Err(why)) => Err(format!("takes SSM parameter {shown}, which {why}")),
        None => Err(format!("takes SSM parameter {shown}, which was not read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(image: &str, id: &str) -> ImageMention {
        ImageMention::new(Some(image), UseKind::LaunchTemplateVersion, id, "version 1".to_owned()).expect("an image")
    }

    #[test]
    fn public_parameters_of_aws_are_no_use_of_ours_and_a_throttled_call_is_no_answer() {
        for (image, is) in [
            ("resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", true),
            ("resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable:3", true),
            ("resolve:ssm:arn:aws:ssm:us-east-1::parameter/aws/service/bottlerocket/x", true),
            ("resolve:ssm:arn:aws:ssm:us-east-1:123456789012:parameter/gold", false),
            ("resolve:ssm:/images/aws/service/base", false),
            ("ami-00000001", false),
        ] {
            assert_eq!(is_of_aws(image), is, "{image}");
        }
        assert!(is_of_the_moment(CloudErrorKind::Throttled) && !is_of_the_moment(CloudErrorKind::Denied));
    }

    #[test]
    fn a_use_is_known_or_unknown_and_never_dropped() {
        let wanted: Vec<AmiId> = vec!["ami-00000001".parse().expect("id"), "ami-00000002".parse().expect("id")];
        let sightings = vec![
            seen("ami-00000001", "lt-1"),
            seen("ami-00000009", "lt-2"),
            seen("resolve:ssm:/gold", "lt-3"),
            seen("resolve:ssm:/gone", "lt-4"),
            seen("resolve:ssm:/text", "lt-5"),
            seen("${image}", "lt-6"),
        ];
        let parameters = BTreeMap::from([
            ("/gold".to_owned(), Ok("ami-00000002".to_owned())),
            ("/gone".to_owned(), Err("is not there".to_owned())),
            ("/text".to_owned(), Ok("not an id".to_owned())),
        ]);
        let uses = sorted(sightings, &wanted, &parameters);
        let found: Vec<&str> = wanted.iter().map(|id| uses.found[id][0].id.as_str()).collect();
        assert_eq!(found, ["lt-1", "lt-3"]);
        let unknown: Vec<String> = uses.unknown.iter().map(ImageUse::to_string).collect();
        assert_eq!(
            unknown,
            [
                "launch template version lt-4 version 1 takes SSM parameter /gone, which is not there",
                "launch template version lt-5 version 1 takes SSM parameter /text, whose value is no AMI id",
                "launch template version lt-6 version 1 names \"${image}\", which is no AMI id",
            ]
        );
    }
}
