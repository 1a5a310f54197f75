//! Who else may use an AMI and its snapshots: launch and volume permissions. It owns the requests and that the group `all` is never asked for; it refuses to
//! decide who is let in.

use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, ImageAttributeName, LaunchPermission,
    LaunchPermissionModifications, PermissionGroup, SnapshotAttributeName,
};

use super::{Ec2Cloud, answer::call};
use crate::cloud::{CloudResult, ImageSharing, SharedWith};
use assay_model::{AccountId, AmiId};

/// What to do with permissions.
#[derive(Clone, Copy)]
pub(super) enum PermissionChange {
    Add,
    Remove,
}

fn permissions(sharing: &ImageSharing) -> Vec<LaunchPermission> {
    let users = sharing.users.iter().map(|user| LaunchPermission::builder().user_id(user.as_str()).build());
    let orgs = sharing.org_arns.iter().map(|arn| LaunchPermission::builder().organization_arn(arn).build());
    let units = sharing.ou_arns.iter().map(|arn| LaunchPermission::builder().organizational_unit_arn(arn).build());
    users.chain(orgs).chain(units).collect()
}

impl Ec2Cloud {
    /// Adds or removes launch permissions.
    pub(super) async fn change_sharing(
        &self,
        id: &AmiId,
        sharing: &ImageSharing,
        change: PermissionChange,
    ) -> CloudResult<()> {
        if sharing.is_empty() {
            return Ok(());
        }
        let list = Some(permissions(sharing));
        let modifications = LaunchPermissionModifications::builder();
        let modifications = match change {
            PermissionChange::Add => modifications.set_add(list),
            PermissionChange::Remove => modifications.set_remove(list),
        };
        let request = self.client.modify_image_attribute().image_id(id.as_str());
        call!(self, "ModifyImageAttribute", request.launch_permission(modifications.build()));
        Ok(())
    }

    /// See [`crate::cloud::ImageEstate::image_sharing`].
    pub(super) async fn sharing_of(&self, id: &AmiId) -> CloudResult<SharedWith> {
        let request = self.client.describe_image_attribute().image_id(id.as_str());
        let answer = call!(self, "DescribeImageAttribute", request.attribute(ImageAttributeName::LaunchPermission));
        let mut with = SharedWith::default();
        for permission in answer.launch_permissions() {
            with.public |= permission.group() == Some(&PermissionGroup::All);
            if let Some(user) = permission.user_id() {
                let unreadable = |_| self.incomplete("DescribeImageAttribute", "account id that is twelve digits");
                with.sharing.users.push(user.parse().map_err(unreadable)?);
            }
            with.sharing.org_arns.extend(permission.organization_arn().map(str::to_owned));
            with.sharing.ou_arns.extend(permission.organizational_unit_arn().map(str::to_owned));
        }
        Ok(with)
    }

    /// See [`crate::cloud::ImageEstate::share_snapshot`].
    pub(super) async fn add_volume_permission(&self, id: &str, users: &[AccountId]) -> CloudResult<()> {
        if users.is_empty() {
            return Ok(());
        }
        let permission = |user: &AccountId| CreateVolumePermission::builder().user_id(user.as_str()).build();
        let add = CreateVolumePermissionModifications::builder().set_add(Some(users.iter().map(permission).collect()));
        let request = self.client.modify_snapshot_attribute().snapshot_id(id);
        let request = request.attribute(SnapshotAttributeName::CreateVolumePermission);
        call!(self, "ModifySnapshotAttribute", request.create_volume_permission(add.build()));
        Ok(())
    }
}
