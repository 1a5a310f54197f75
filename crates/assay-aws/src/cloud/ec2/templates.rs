//! The AMIs that launch templates, launch configurations and auto-scaling groups name. It owns how a group's template and version lead to an AMI; what
//! the names mean in the end is `uses`'s business.

use aws_sdk_autoscaling::types::{AutoScalingGroup, LaunchTemplateSpecification, MixedInstancesPolicy};

use super::{Ec2Cloud, PAGE, answer::cloud_error, uses::ImageMention};
use crate::cloud::{CloudResult, UseKind, plain};

/// A launch template with all its versions.
pub(super) struct VersionedLaunchTemplate {
    id: String,
    name: String,
    default: Option<i64>,
    latest: Option<i64>,
    /// Version number and the image that it names, if any.
    versions: Vec<(i64, Option<String>)>,
}

impl VersionedLaunchTemplate {
    /// Each version that names an AMI.
    pub(super) fn sightings(&self) -> Vec<ImageMention> {
        let kind = UseKind::LaunchTemplateVersion;
        let sighting = |(number, image): &(i64, Option<String>)| {
            ImageMention::new(image.as_deref(), kind, &self.id, format!("({}) version {number}", plain(&self.name)))
        };
        self.versions.iter().filter_map(sighting).collect()
    }

    /// The image of a version as a group names it: a number, `$Latest`, or `$Default`, which is also meant where none is named.
    fn image(&self, version: Option<&str>) -> Option<&str> {
        let number = match version.unwrap_or("$Default") {
            "$Default" => self.default?,
            "$Latest" => self.latest?,
            number => number.parse().ok()?,
        };
        self.versions.iter().find(|(known, _)| *known == number).and_then(|(_, image)| image.as_deref())
    }
}

impl Ec2Cloud {
    /// Every launch template of the region with every version: an old one can still be launched by number.
    pub(super) async fn launch_templates(&self) -> CloudResult<Vec<VersionedLaunchTemplate>> {
        let mut found = Vec::new();
        let mut pages = self.client.describe_launch_templates().max_results(PAGE).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeLaunchTemplates", self.region.as_str(), e))?;
            for template in page.launch_templates() {
                let Some(id) = template.launch_template_id() else {
                    return Err(self.incomplete("DescribeLaunchTemplates", "launch template id"));
                };
                found.push(VersionedLaunchTemplate {
                    id: id.to_owned(),
                    name: template.launch_template_name().unwrap_or_default().to_owned(),
                    default: template.default_version_number(),
                    latest: template.latest_version_number(),
                    versions: self.template_versions(id).await?,
                });
            }
        }
        Ok(found)
    }

    async fn template_versions(&self, id: &str) -> CloudResult<Vec<(i64, Option<String>)>> {
        let mut found = Vec::new();
        let request = self.client.describe_launch_template_versions().launch_template_id(id).max_results(PAGE);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeLaunchTemplateVersions", self.region.as_str(), e))?;
            for version in page.launch_template_versions() {
                let image = version.launch_template_data().and_then(|data| data.image_id());
                found.push((version.version_number().unwrap_or_default(), image.map(str::to_owned)));
            }
        }
        Ok(found)
    }

    /// Launch configurations and groups. A group whose template or configuration is gone can launch nothing, and names no AMI.
    pub(super) async fn scaling_sightings(
        &self,
        templates: &[VersionedLaunchTemplate],
    ) -> CloudResult<Vec<ImageMention>> {
        let client = self.auto_scaling();
        let mut found = Vec::new();
        let mut configurations = Vec::new();
        let mut pages = client.describe_launch_configurations().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeLaunchConfigurations", self.region.as_str(), e))?;
            for made in page.launch_configurations() {
                let (name, image) = (made.launch_configuration_name().unwrap_or_default(), made.image_id());
                found.extend(ImageMention::new(image, UseKind::LaunchConfiguration, name, String::new()));
                configurations.push((name.to_owned(), image.unwrap_or_default().to_owned()));
            }
        }
        let mut pages = client.describe_auto_scaling_groups().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeAutoScalingGroups", self.region.as_str(), e))?;
            let groups = page.auto_scaling_groups().iter();
            found.extend(groups.flat_map(|group| of_group(group, templates, &configurations)));
        }
        Ok(found)
    }
}

fn of_group(
    group: &AutoScalingGroup,
    templates: &[VersionedLaunchTemplate],
    configurations: &[(String, String)],
) -> Vec<ImageMention> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let sighting = |image: Option<&str>, how: String| {
        ImageMention::new(image, UseKind::AutoScalingGroup, name, format!("by {how}"))
    };
    let mut found = Vec::new();
    if let Some(wanted) = group.launch_configuration_name() {
        let image = configurations.iter().find(|(known, _)| known == wanted).map(|(_, image)| image.as_str());
        found.extend(sighting(image, format!("launch configuration {}", plain(wanted))));
    }
    let policies = group.mixed_instances_policy().into_iter().filter_map(MixedInstancesPolicy::launch_template);
    let overrides: Vec<_> = policies.clone().flat_map(|mixed| mixed.overrides()).collect();
    let specifications = group
        .launch_template()
        .into_iter()
        .chain(policies.filter_map(|mixed| mixed.launch_template_specification()))
        .chain(overrides.iter().filter_map(|one| one.launch_template_specification()));
    for specification in specifications {
        if let Some(template) = templates.iter().find(|template| is_meant(template, specification)) {
            found.extend(sighting(template.image(specification.version()), format!("launch template {}", template.id)));
        }
    }
    found.extend(overrides.iter().filter_map(|one| sighting(one.image_id(), "an override".to_owned())));
    found
}

fn is_meant(template: &VersionedLaunchTemplate, by: &LaunchTemplateSpecification) -> bool {
    by.launch_template_id() == Some(&template.id)
        || (by.launch_template_id().is_none() && by.launch_template_name() == Some(&template.name))
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{LaunchTemplate, LaunchTemplateOverrides};

    use super::*;

    fn template() -> VersionedLaunchTemplate {
        let version = |number: i64| (number, Some(format!("ami-0000000{number}")));
        VersionedLaunchTemplate {
            id: "lt-1".to_owned(),
            name: "web".to_owned(),
            default: Some(1),
            latest: Some(3),
            versions: vec![version(1), version(2), version(3)],
        }
    }

    #[test]
    fn each_way_of_a_group_to_an_ami_is_followed() {
        let spec =
            |version: &str| LaunchTemplateSpecification::builder().launch_template_name("web").version(version).build();
        let overridden =
            LaunchTemplateOverrides::builder().launch_template_specification(spec("2")).image_id("ami-0000000a");
        let mixed = LaunchTemplate::builder()
            .launch_template_specification(spec("$Latest"))
            .overrides(overridden.build())
            .build();
        let group = AutoScalingGroup::builder()
            .auto_scaling_group_name("g")
            .launch_configuration_name("old")
            .launch_template(spec("$Default"))
            .mixed_instances_policy(MixedInstancesPolicy::builder().launch_template(mixed).build())
            .build();
        let configurations = [("old".to_owned(), "ami-0000000b".to_owned())];
        let mut images: Vec<String> =
            of_group(&group, &[template()], &configurations).into_iter().map(|s| s.image).collect();
        images.sort();
        assert_eq!(images, ["ami-00000001", "ami-00000002", "ami-00000003", "ami-0000000a", "ami-0000000b"]);
    }

    #[test]
    fn every_version_is_a_use() {
        assert_eq!(template().sightings().len(), 3);
    }
}
