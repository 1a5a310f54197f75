//! The resource `ami`: what EC2's DescribeImages says of the AMI under test, property by property. It owns which field a property names; it refuses to call EC2.

use jiff::Timestamp;
use serde_json::Value;

use super::answers::KnownProperty;
use assay_aws::cloud::CloudImage;

/// What `image` says about `property`, in EC2's words. A text that EC2 leaves out is empty.
pub(super) fn known(image: &CloudImage, property: &str) -> KnownProperty {
    let attributes = &image.attributes;
    let text = |value: &str| KnownProperty::Value(value.into());
    let optional = |value: &Option<String>| text(value.as_deref().unwrap_or_default());
    match property {
        "name" => text(&image.name),
        "description" => text(&attributes.description),
        "owner" => text(image.owner.as_str()),
        "public" => flag(attributes.public),
        "architecture" => text(&attributes.architecture),
        "boot-mode" => optional(&image.boot_mode),
        "ena-support" => flag(attributes.ena_support),
        "sriov-net-support" => text(&attributes.sriov_net_support),
        "tpm-support" => text(&attributes.tpm_support),
        "imds-support" => optional(&image.imds_support),
        "encrypted" => match attributes.encrypted {
            Some(all) => flag(all),
            None => KnownProperty::Because(false.into(), "the AMI's mapping names no EBS device".to_owned()),
        },
        "root-device-name" => optional(&image.root_device_name),
        "root-device-type" => text(&attributes.root_device_type),
        "root-volume-size" => match attributes.root_volume_size {
            Some(gib) => KnownProperty::Value(gib.into()),
            None => KnownProperty::unknown("EC2 names no size of the root volume"),
        },
        "virtualization-type" => text(&attributes.virtualization_type),
        "platform-details" => text(&attributes.platform_details),
        "source-image-id" => text(&attributes.source_image_id),
        "deprecated" => deprecated(&attributes.deprecation_time, Timestamp::now()),
        "deprecation-time" => text(&attributes.deprecation_time),
        "product-codes" => KnownProperty::Value(attributes.product_codes.clone().into()),
        "tags" => KnownProperty::Value(image.tags.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        _ => KnownProperty::unknown("EC2 says nothing of this name"),
    }
}

fn flag(value: bool) -> KnownProperty {
    KnownProperty::Value(Value::Bool(value))
}

/// Deprecated is an AMI whose DeprecationTime is over (EC2 User Guide, "Deprecate an Amazon EC2 AMI").
fn deprecated(time: &str, now: Timestamp) -> KnownProperty {
    if time.is_empty() {
        return flag(false);
    }
    match time.parse::<Timestamp>() {
        Ok(at) if at <= now => KnownProperty::Because(true.into(), format!("since {time}")),
        Ok(_) => flag(false),
        Err(_) => KnownProperty::unknown(format!("EC2's DeprecationTime {time:?} cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_aws::cloud::fake::sample_image;

    #[test]
    fn every_property_of_the_vocabulary_has_an_answer() {
        let mut image = sample_image("ami-0abcdef1234567890", &["snap-1"]);
        image.attributes.root_volume_size = Some(8);
        for property in assay_suite::properties("ami") {
            let seen = known(&image, property);
            assert!(!matches!(seen, KnownProperty::Unknown(_)), "{property}: {seen:?}");
        }
        assert_eq!(known(&image, "boot-mode"), KnownProperty::Value("".into()), "what EC2 leaves out is empty");
        image.boot_mode = Some("uefi".to_owned());
        assert_eq!(known(&image, "boot-mode"), KnownProperty::Value("uefi".into()));
        image.tags.insert("Team".to_owned(), "core".to_owned());
        assert_eq!(known(&image, "tags"), KnownProperty::Value(vec!["Team=core"].into()));
    }

    #[test]
    fn deprecation_counts_from_its_time_on() {
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().expect("a time");
        let met = |time| matches!(deprecated(time, now), KnownProperty::Because(Value::Bool(true), _));
        assert!(met("2026-11-22T23:59:00.000Z") && !met("2026-11-24T00:00:00.000Z") && !met(""));
        assert!(matches!(deprecated("soon", now), KnownProperty::Unknown(_)));
    }

    #[test]
    fn an_ami_without_ebs_is_not_encrypted_and_says_why() {
        let image = sample_image("ami-0abcdef1234567890", &[]);
        assert!(
            matches!(known(&image, "encrypted"), KnownProperty::Because(Value::Bool(false), why) if why.contains("no EBS"))
        );
    }
}
