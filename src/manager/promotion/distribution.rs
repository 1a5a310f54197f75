//! Gold's way out: who may launch it, and the parameter that points to it. It owns doing what `distribution { … }` asks, only what is lacking; it refuses to take anything
//! away.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::outcome::MovedRun;
use assay_aws::{
    cloud::{CloudError, CloudFactory, ImageSharing},
    registry::is_of_another_build,
};
use assay_config::file::DistributionDecl;
use assay_model::{AmiRecord, Architecture, Region};

/// What `distribution { … }` asks of launch permissions.
pub(super) fn sharing(distribution: &DistributionDecl) -> ImageSharing {
    ImageSharing {
        users: distribution.ami_users.clone(),
        org_arns: distribution.ami_org_arns.clone(),
        ou_arns: distribution.ami_ou_arns.clone(),
    }
}

/// The name of the parameter for one architecture.
pub(super) fn parameter(distribution: &DistributionDecl, architecture: Architecture) -> Option<String> {
    distribution.ssm_parameter.as_ref().map(|name| name.replace("{architecture}", architecture.as_str()))
}

/// Shares every AMI and points the parameters of its region to it. What fails is in `moved.missing`.
pub(super) async fn distribute(
    factory: &dyn CloudFactory,
    distribution: &DistributionDecl,
    amis: &[AmiRecord],
    moved: &mut MovedRun,
) {
    let wanted = sharing(distribution);
    let shared = join_all(amis.iter().map(|record| share(factory, record, &wanted))).await;
    for (record, result) in amis.iter().zip(shared) {
        match result {
            Ok(done) => moved.done.extend(done),
            Err(error) => moved.missing.push(format!("sharing {}: {error}", record.ami)),
        }
    }
    for ((region, name), record) in pointers(distribution, amis) {
        match point(factory, &region, &name, record).await {
            Ok(done) => moved.done.extend(done),
            Err(error) => moved.missing.push(format!("the parameter {name} in {region}: {error}")),
        }
    }
}

/// One AMI for each parameter: the first of its region and architecture.
fn pointers<'a>(distribution: &DistributionDecl, amis: &'a [AmiRecord]) -> BTreeMap<(Region, String), &'a AmiRecord> {
    let mut pointers = BTreeMap::new();
    for record in amis {
        if let Some(name) = parameter(distribution, record.architecture) {
            pointers.entry((record.ami.region.clone(), name)).or_insert(record);
        }
    }
    pointers
}

async fn share(
    factory: &dyn CloudFactory,
    record: &AmiRecord,
    wanted: &ImageSharing,
) -> Result<Option<String>, CloudError> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let cloud = factory.region(&record.ami.region);
    let there = cloud.image_sharing(&record.ami.id).await?.sharing;
    let lacking = ImageSharing {
        users: wanted.users.iter().filter(|user| !there.users.contains(user)).cloned().collect(),
        org_arns: wanted.org_arns.iter().filter(|arn| !there.org_arns.contains(arn)).cloned().collect(),
        ou_arns: wanted.ou_arns.iter().filter(|arn| !there.ou_arns.contains(arn)).cloned().collect(),
    };
    // Snapshots first: whoever may launch the AMI can then also copy it. Nothing tells who may, so it is said each time.
    let described = cloud.describe_snapshots(&record.snapshots).await?;
    let foreign =
        |id: &String| described.iter().any(|one| one.id == *id && is_of_another_build(one, &record.created_at));
    for snapshot in record.snapshots.iter().filter(|id| !foreign(id)) {
        cloud.share_snapshot(snapshot, &wanted.users).await?;
    }
    if lacking.is_empty() {
        return Ok(None);
    }
    cloud.share_image(&record.ami.id, &lacking).await?;
    let whom = lacking.users.iter().map(ToString::to_string).chain(lacking.org_arns).chain(lacking.ou_arns);
    Ok(Some(format!("{} shared with {}", record.ami, whom.collect::<Vec<_>>().join(", "))))
}

async fn point(
    factory: &dyn CloudFactory,
    region: &Region,
    name: &str,
    record: &AmiRecord,
) -> Result<Option<String>, CloudError> {
    let cloud = factory.region(region);
    if cloud.get_parameter(name).await?.as_deref() == Some(record.ami.id.as_str()) {
        return Ok(None);
    }
    cloud.put_parameter(name, record.ami.id.as_str(), true).await?;
    Ok(Some(format!("{name} in {region} is {}", record.ami.id)))
}
