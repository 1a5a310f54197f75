//! "Might I?": each changing call with `DryRun`, and EC2's answer sorted. It owns that none of these requests can leave without the flag; it refuses to
//! conclude anything from an answer that is not about permission.

use aws_sdk_ec2::{primitives::DateTime, types as sdk};

use super::{Ec2Cloud, answer::cloud_error, convert, ingress};
use crate::cloud::{CloudError, CloudErrorKind, CloudResult, DryRun, DryRunAnswer};

/// How far ahead the deprecation lies that is asked about, in seconds: EC2 wants a time in the future.
const AHEAD: i64 = 86_400;

/// Sends one request with the flag set and returns what became of it.
macro_rules! asked {
    ($self:ident, $action:expr, $request:expr) => {
        $request.dry_run(true).send().await.map(drop).map_err(|e| cloud_error($action, $self.region.as_str(), e))
    };
}

impl Ec2Cloud {
    /// See [`crate::cloud::RegionServices::dry_run`].
    pub(super) async fn ask(&self, call: &DryRun) -> CloudResult<DryRunAnswer> {
        let outcome = match call {
            DryRun::RunInstances(launch) => asked!(self, "RunInstances", self.launch_request(launch)),
            DryRun::CopyImage { .. }
            | DryRun::ModifyImageAttribute { .. }
            | DryRun::ModifySnapshotAttribute { .. }
            | DryRun::EnableImageDeprecation { .. }
            | DryRun::DisableImageDeprecation { .. }
            | DryRun::DisableImage { .. }
            | DryRun::EnableImage { .. }
            | DryRun::DeregisterImage { .. }
            | DryRun::DeleteSnapshot { .. }
            | DryRun::EnableImageDeregistrationProtection { .. }
            | DryRun::DisableImageDeregistrationProtection { .. } => self.ask_of_images(call).await,
            _ => self.ask_of_launching(call).await,
        };
        answer(outcome)
    }

    async fn ask_of_launching(&self, call: &DryRun) -> CloudResult<()> {
        let (client, action) = (&self.client, call.action());
        match call {
            DryRun::ImportKeyPair { name, public_key, tags } => {
                let material = aws_sdk_ec2::primitives::Blob::new(public_key.as_bytes());
                let tags = convert::tag_specification(sdk::ResourceType::KeyPair, tags);
                let request = client.import_key_pair().key_name(name).public_key_material(material);
                asked!(self, action, request.tag_specifications(tags))
            }
            DryRun::DeleteKeyPair { name } => asked!(self, action, client.delete_key_pair().key_name(name)),
            DryRun::CreateSecurityGroup { name, vpc, tags } => {
                let tags = convert::tag_specification(sdk::ResourceType::SecurityGroup, tags);
                let request = client.create_security_group().group_name(name).description("assay");
                asked!(self, action, request.set_vpc_id(vpc.clone()).tag_specifications(tags))
            }
            DryRun::AuthorizeSecurityGroupIngress { group } => {
                let rule = ingress(22, &["192.0.2.1/32".to_owned()]);
                let request = client.authorize_security_group_ingress().group_id(group);
                asked!(self, action, request.ip_permissions(rule))
            }
            DryRun::DeleteSecurityGroup { group } => {
                asked!(self, action, client.delete_security_group().group_id(group))
            }
            DryRun::GetConsoleOutput { instance } => {
                asked!(self, action, client.get_console_output().instance_id(instance))
            }
            DryRun::RebootInstances { instance } => {
                asked!(self, action, client.reboot_instances().instance_ids(instance))
            }
            DryRun::StopInstances { instance } => asked!(self, action, client.stop_instances().instance_ids(instance)),
            DryRun::StartInstances { instance } => {
                asked!(self, action, client.start_instances().instance_ids(instance))
            }
            DryRun::TerminateInstances { instance } => {
                asked!(self, action, client.terminate_instances().instance_ids(instance))
            }
            DryRun::DeleteVolume { volume } => asked!(self, action, client.delete_volume().volume_id(volume)),
            DryRun::CreateTags { resource, tags } => {
                let tags = convert::sdk_tags(tags);
                asked!(self, action, client.create_tags().resources(resource).set_tags(Some(tags)))
            }
            other => Err(self.incomplete(other.action(), "request of that kind")),
        }
    }

    async fn ask_of_images(&self, call: &DryRun) -> CloudResult<()> {
        let (client, action) = (&self.client, call.action());
        match call {
            DryRun::CopyImage { source, name, tags } => {
                let mut request =
                    client.copy_image().source_region(source.region.as_str()).source_image_id(source.id.as_str());
                for resource in [sdk::ResourceType::Image, sdk::ResourceType::Snapshot] {
                    request = request.tag_specifications(convert::tag_specification(resource, tags));
                }
                asked!(self, action, request.name(name))
            }
            DryRun::ModifyImageAttribute { image } => {
                let own = sdk::LaunchPermission::builder().user_id("123456789012").build();
                let change = sdk::LaunchPermissionModifications::builder().add(own).build();
                let request = client.modify_image_attribute().image_id(image.as_str());
                asked!(self, action, request.launch_permission(change))
            }
            DryRun::ModifySnapshotAttribute { snapshot } => {
                let user = sdk::CreateVolumePermission::builder().user_id("123456789012").build();
                let change = sdk::CreateVolumePermissionModifications::builder().add(user).build();
                let request = client.modify_snapshot_attribute().snapshot_id(snapshot);
                let request = request.attribute(sdk::SnapshotAttributeName::CreateVolumePermission);
                asked!(self, action, request.create_volume_permission(change))
            }
            DryRun::EnableImageDeprecation { image } => {
                let at = DateTime::from_secs(jiff::Timestamp::now().as_second() + AHEAD);
                asked!(self, action, client.enable_image_deprecation().image_id(image.as_str()).deprecate_at(at))
            }
            DryRun::DisableImageDeprecation { image } => {
                asked!(self, action, client.disable_image_deprecation().image_id(image.as_str()))
            }
            DryRun::DisableImage { image } => asked!(self, action, client.disable_image().image_id(image.as_str())),
            DryRun::EnableImage { image } => asked!(self, action, client.enable_image().image_id(image.as_str())),
            DryRun::DeregisterImage { image } => {
                asked!(self, action, client.deregister_image().image_id(image.as_str()))
            }
            DryRun::DeleteSnapshot { snapshot } => {
                asked!(self, action, client.delete_snapshot().snapshot_id(snapshot))
            }
            DryRun::EnableImageDeregistrationProtection { image } => {
                asked!(self, action, client.enable_image_deregistration_protection().image_id(image.as_str()))
            }
            DryRun::DisableImageDeregistrationProtection { image } => {
                asked!(self, action, client.disable_image_deregistration_protection().image_id(image.as_str()))
            }
            other => Err(self.incomplete(other.action(), "request of that kind")),
        }
    }
}

/// What an outcome says of the permission. A call that succeeds although it was not to be done is taken for what it shows: it is allowed.
fn answer(outcome: CloudResult<()>) -> CloudResult<DryRunAnswer> {
    let error: CloudError = match outcome {
        Ok(()) => return Ok(DryRunAnswer::Allowed),
        Err(error) => error,
    };
    match error.kind {
        _ if error.code == "DryRunOperation" => Ok(DryRunAnswer::Allowed),
        CloudErrorKind::Denied => Ok(DryRunAnswer::Denied(format!("{}: {}", error.code, error.message))),
        CloudErrorKind::Throttled | CloudErrorKind::Unknown | CloudErrorKind::Credentials => Err(error),
        _ => Ok(DryRunAnswer::NotSaid(format!("{}: {}", error.code, error.message))),
    }
}
