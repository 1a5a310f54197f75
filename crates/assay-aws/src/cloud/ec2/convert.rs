//! The SDK's shapes as plain values, and back. It owns what becomes of a field that EC2 left out; it makes no call.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{self, Filter, ResourceType, Tag, TagSpecification};

use crate::cloud::{
    BlockDevice, CloudImage, CloudInstance, CloudSubnet, DescribeFilters, EbsSnapshot, ImageAttributes, InstanceStatus,
    NamedResource,
};
use assay_model::Architecture;

/// `tag:<key>` filters, all of which must match.
pub(super) fn tag_filters(tags: &[(String, String)]) -> Vec<Filter> {
    tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value.clone()])).collect()
}

/// Filters in the SDK's shape.
pub(super) fn filters(filters: &DescribeFilters) -> Vec<Filter> {
    filters.iter().map(|(name, values)| filter(name, values.iter().cloned())).collect()
}

/// One filter; any of `values` matches.
pub(super) fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// The same tags for a resource that is being created.
pub(super) fn tag_specification(resource: ResourceType, tags: &BTreeMap<String, String>) -> TagSpecification {
    TagSpecification::builder().resource_type(resource).set_tags(Some(sdk_tags(tags))).build()
}

/// Tags in the SDK's shape.
pub(super) fn sdk_tags(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags as a map; one without a key is dropped, one without a value is empty.
pub(super) fn tag_map(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// An AMI; `None` where EC2's answer lacks an id or an owner.
pub(super) fn image(image: &types::Image) -> Option<CloudImage> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let windows = matches!(image.platform(), Some(types::PlatformValues::Windows))
        || image.platform_details().is_some_and(|details| details.starts_with("Windows"));
    Some(CloudImage {
        id: image.image_id()?.parse().ok()?,
        name: text(image.name()),
        owner: image.owner_id()?.parse().ok()?,
        created_at: text(image.creation_date()),
        state: text(image.state().map(|state| state.as_str())),
        architecture: image.architecture().and_then(|a| a.as_str().parse::<Architecture>().ok()),
        root_device_name: image.root_device_name().map(str::to_owned),
        block_devices: image.block_device_mappings().iter().filter_map(block_device).collect(),
        tags: tag_map(image.tags()),
        deregistration_protected: image.deregistration_protection().is_some_and(|word| word.starts_with("enabled")),
        platform: windows.then(|| "Windows".to_owned()),
        imds_support: image.imds_support().map(|word| word.as_str().to_owned()),
        boot_mode: image.boot_mode().map(|word| word.as_str().to_owned()),
        attributes: attributes(image),
    })
}

fn attributes(image: &types::Image) -> ImageAttributes {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let devices: Vec<_> =
        image.block_device_mappings().iter().filter_map(|m| Some((m.device_name(), m.ebs()?))).collect();
    let root = devices.iter().find(|(name, _)| name.is_some() && *name == image.root_device_name());
    ImageAttributes {
        architecture: text(image.architecture().map(|word| word.as_str())),
        description: text(image.description()),
        ena_support: image.ena_support().unwrap_or(false),
        sriov_net_support: text(image.sriov_net_support()),
        tpm_support: text(image.tpm_support().map(|word| word.as_str())),
        public: image.public().unwrap_or(false),
        encrypted: (!devices.is_empty()).then(|| devices.iter().all(|(_, ebs)| ebs.encrypted().unwrap_or(false))),
        root_device_type: text(image.root_device_type().map(|word| word.as_str())),
        root_volume_size: root.and_then(|(_, ebs)| ebs.volume_size()),
        virtualization_type: text(image.virtualization_type().map(|word| word.as_str())),
        platform_details: text(image.platform_details()),
        source_image_id: text(image.source_image_id()),
        source_image_region: text(image.source_image_region()),
        deprecation_time: text(image.deprecation_time()),
        state_reason: text(image.state_reason().and_then(|reason| reason.message())),
        product_codes: image
            .product_codes()
            .iter()
            .filter_map(|code| Some(code.product_code_id()?.to_owned()))
            .collect(),
    }
}

fn block_device(mapping: &types::BlockDeviceMapping) -> Option<BlockDevice> {
    let ebs = mapping.ebs()?;
    Some(BlockDevice {
        device_name: mapping.device_name()?.to_owned(),
        snapshot: ebs.snapshot_id().map(str::to_owned),
        delete_on_termination: ebs.delete_on_termination().unwrap_or(false),
    })
}

/// An instance; `None` where EC2's answer lacks the id. EC2 gives empty strings for addresses that are not there (yet).
pub(super) fn instance(instance: &types::Instance) -> Option<CloudInstance> {
    let some = |value: Option<&str>| value.filter(|v| !v.is_empty()).map(str::to_owned);
    let volumes = instance.block_device_mappings().iter();
    let ipv6 =
        instance.network_interfaces().iter().flat_map(|i| i.ipv6_addresses()).find_map(|a| some(a.ipv6_address()));
    Some(CloudInstance {
        id: instance.instance_id()?.to_owned(),
        image: instance.image_id().unwrap_or_default().to_owned(),
        state: instance.state().and_then(|s| s.name()).map(|n| n.as_str().to_owned()).unwrap_or_default(),
        state_reason: some(instance.state_reason().and_then(|r| r.message())),
        state_reason_code: some(instance.state_reason().and_then(|r| r.code())),
        public_ip: some(instance.public_ip_address()),
        private_ip: some(instance.private_ip_address()),
        public_dns: some(instance.public_dns_name()),
        private_dns: some(instance.private_dns_name()),
        ipv6,
        availability_zone: some(instance.placement().and_then(|placement| placement.availability_zone())),
        client_token: some(instance.client_token()),
        key_name: some(instance.key_name()),
        launch_time: instance.launch_time().map(|time| time.secs()),
        tags: tag_map(instance.tags()),
        volumes: volumes.filter_map(|m| some(m.ebs()?.volume_id())).collect(),
    })
}

/// The machine below an instance.
pub(super) fn instance_status(status: &types::InstanceStatus) -> InstanceStatus {
    let system = status.system_status().and_then(|system| system.status());
    // EC2 goes on listing what is over, and says so in the description ("DescribeInstanceStatus" in the EC2 API reference).
    let over = |event: &&types::InstanceStatusEvent| {
        event.description().is_some_and(|text| text.starts_with("[Completed]") || text.starts_with("[Canceled]"))
    };
    let planned = status.events().iter().filter(|event| !over(event));
    InstanceStatus {
        system: system.map(|word| word.as_str().to_owned()).unwrap_or_default(),
        planned: planned
            .filter_map(|event| Some((event.code()?.as_str().to_owned(), event.not_before().map(|time| time.secs()))))
            .collect(),
    }
}

/// A key pair; `None` without a name.
pub(super) fn key_pair(pair: &types::KeyPairInfo) -> Option<NamedResource> {
    Some(NamedResource {
        id: pair.key_pair_id().unwrap_or_default().to_owned(),
        name: pair.key_name()?.to_owned(),
        created_at: pair.create_time().map(|time| time.secs()),
        tags: tag_map(pair.tags()),
    })
}

/// A subnet; `None` without its id or its VPC's.
pub(super) fn subnet(subnet: &types::Subnet) -> Option<CloudSubnet> {
    Some(CloudSubnet {
        id: subnet.subnet_id()?.to_owned(),
        vpc: subnet.vpc_id()?.to_owned(),
        zone: subnet.availability_zone().map(str::to_owned),
        free_addresses: subnet.available_ip_address_count().unwrap_or(0),
    })
}

/// A security group; `None` without an id.
pub(super) fn security_group(group: &types::SecurityGroup) -> Option<NamedResource> {
    Some(NamedResource {
        id: group.group_id()?.to_owned(),
        name: group.group_name().unwrap_or_default().to_owned(),
        created_at: None,
        tags: tag_map(group.tags()),
    })
}

/// A snapshot; `None` without an id.
pub(super) fn snapshot(snapshot: &types::Snapshot) -> Option<EbsSnapshot> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Some(EbsSnapshot {
        id: snapshot.snapshot_id()?.to_owned(),
        owner: text(snapshot.owner_id()),
        state: text(snapshot.state().map(|state| state.as_str())),
        description: text(snapshot.description()),
        encrypted: snapshot.encrypted().unwrap_or(false),
        volume_size: snapshot.volume_size(),
        started_at: snapshot.start_time().map(|time| time.secs()),
        tags: tag_map(snapshot.tags()),
    })
}
