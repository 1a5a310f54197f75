//! [`ImageEstate`] by the AWS SDK. It owns the wording of the requests about AMIs and snapshots that stay; who uses or shares them is in `uses` and `sharing`.

use aws_sdk_ec2::{
    primitives::{DateTime, DateTimeFormat},
    types::{Filter, ImageAttributeName, ResourceType},
};
use futures::future::{BoxFuture, FutureExt};

use super::{
    Ec2Cloud, FILTER_VALUES, PAGE,
    answer::{call, cloud_error},
    convert,
    sharing::PermissionChange,
};
use crate::cloud::{
    CloudError, CloudErrorKind, CloudImage, CloudResult, CopyImage, EbsSnapshot, ImageEstate, ImageSharing, ImageUses,
    SharedWith,
};
use assay_model::{AccountId, AmiId, tags};

impl Ec2Cloud {
    /// DescribeImages of the caller's own by one filter, whatever their state.
    async fn own_images_where(&self, filter: Filter) -> CloudResult<Vec<CloudImage>> {
        let request = self.client.describe_images().owners("self").filters(filter);
        self.images_where(request.include_deprecated(true).include_disabled(true).max_results(PAGE)).await
    }

    async fn copy(&self, copy: &CopyImage) -> CloudResult<AmiId> {
        let mut request = self
            .client
            .copy_image()
            .source_region(copy.source.region.as_str())
            .source_image_id(copy.source.id.as_str())
            .name(&copy.name)
            .description(&copy.description)
            .client_token(&copy.client_token)
            .set_encrypted(copy.encrypted.then_some(true))
            .set_kms_key_id(copy.kms_key_id.clone());
        if !copy.tags.is_empty() {
            for resource in [ResourceType::Image, ResourceType::Snapshot] {
                request = request.tag_specifications(convert::tag_specification(resource, &copy.tags));
            }
        }
        let answer = call!(self, "CopyImage", request);
        let id = answer.image_id().and_then(|id| id.parse().ok());
        id.ok_or_else(|| self.incomplete("CopyImage", "image id"))
    }

    /// The caller's own that pass these filters; without one: none.
    async fn snapshots_where(&self, filters: Vec<Filter>) -> CloudResult<Vec<EbsSnapshot>> {
        let mut found = Vec::new();
        if filters.is_empty() {
            return Ok(found);
        }
        let request = self.client.describe_snapshots().owner_ids("self").max_results(PAGE);
        let mut pages = request.set_filters(Some(filters)).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeSnapshots", self.region.as_str(), e))?;
            found.extend(page.snapshots().iter().filter_map(convert::snapshot));
        }
        Ok(found)
    }

    async fn deprecate(&self, id: &AmiId, at: &str) -> CloudResult<()> {
        let time = DateTime::from_str(at, DateTimeFormat::DateTime).map_err(|error| CloudError {
            action: "EnableImageDeprecation",
            region: self.region.to_string(),
            kind: CloudErrorKind::Invalid,
            code: "<not sent>".to_owned(),
            message: format!("{at:?} is no time in RFC 3339: {error}"),
        })?;
        let request = self.client.enable_image_deprecation().image_id(id.as_str()).deprecate_at(time);
        call!(self, "EnableImageDeprecation", request);
        Ok(())
    }

    async fn last_launched(&self, id: &AmiId) -> CloudResult<Option<String>> {
        let request = self.client.describe_image_attribute().image_id(id.as_str());
        let answer = call!(self, "DescribeImageAttribute", request.attribute(ImageAttributeName::LastLaunchedTime));
        let time = answer.last_launched_time().and_then(|time| time.value());
        Ok(time.filter(|time| !time.is_empty()).map(str::to_owned))
    }
}

/// A verb that only names an AMI.
macro_rules! about_image {
    ($self:ident, $action:literal, $call:ident, $id:ident) => {
        async move {
            call!($self, $action, $self.client.$call().image_id($id.as_str()));
            Ok(())
        }
        .boxed()
    };
}

impl ImageEstate for Ec2Cloud {
    fn own_images(&self) -> BoxFuture<'_, CloudResult<Vec<CloudImage>>> {
        async move {
            let filters = convert::tag_filters(&[(tags::MANAGED.to_owned(), "true".to_owned())]);
            match filters.into_iter().next() {
                Some(managed) => self.own_images_where(managed).await,
                None => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn images_of_snapshot<'a>(&'a self, snapshot: &'a str) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>> {
        let filter = convert::filter("block-device-mapping.snapshot-id", [snapshot.to_owned()]);
        self.own_images_where(filter).boxed()
    }

    fn copy_image<'a>(&'a self, copy: &'a CopyImage) -> BoxFuture<'a, CloudResult<AmiId>> {
        self.copy(copy).boxed()
    }

    fn share_image<'a>(&'a self, id: &'a AmiId, with: &'a ImageSharing) -> BoxFuture<'a, CloudResult<()>> {
        self.change_sharing(id, with, PermissionChange::Add).boxed()
    }

    fn unshare_image<'a>(&'a self, id: &'a AmiId, from: &'a ImageSharing) -> BoxFuture<'a, CloudResult<()>> {
        self.change_sharing(id, from, PermissionChange::Remove).boxed()
    }

    fn image_sharing<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<SharedWith>> {
        self.sharing_of(id).boxed()
    }

    fn share_snapshot<'a>(&'a self, id: &'a str, users: &'a [AccountId]) -> BoxFuture<'a, CloudResult<()>> {
        self.add_volume_permission(id, users).boxed()
    }

    fn find_snapshots<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<EbsSnapshot>>> {
        self.snapshots_where(convert::tag_filters(tags)).boxed()
    }

    fn describe_snapshots<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<EbsSnapshot>>> {
        async move {
            let mut found = Vec::new();
            for ids in ids.chunks(FILTER_VALUES) {
                // A filter, and no list of ids: of those one that is gone makes EC2 refuse all.
                found.extend(self.snapshots_where(vec![convert::filter("snapshot-id", ids.iter().cloned())]).await?);
            }
            Ok(found)
        }
        .boxed()
    }

    fn delete_snapshot<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "DeleteSnapshot", self.client.delete_snapshot().snapshot_id(id));
            Ok(())
        }
        .boxed()
    }

    fn deprecate_image<'a>(&'a self, id: &'a AmiId, at: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.deprecate(id, at).boxed()
    }

    fn cancel_deprecation<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        about_image!(self, "DisableImageDeprecation", disable_image_deprecation, id)
    }

    fn disable_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        about_image!(self, "DisableImage", disable_image, id)
    }

    fn enable_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        about_image!(self, "EnableImage", enable_image, id)
    }

    fn deregister_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        about_image!(self, "DeregisterImage", deregister_image, id)
    }

    fn uses_of_images<'a>(&'a self, ids: &'a [AmiId]) -> BoxFuture<'a, CloudResult<ImageUses>> {
        self.uses_of(ids).boxed()
    }

    fn image_last_launched<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<Option<String>>> {
        self.last_launched(id).boxed()
    }
}
