//! Admission: looks at every AMI before anything is started. It owns the order "describe, protect, then ask who we are", and the reasons why an AMI
//! cannot be tested by us; it refuses to launch.

use std::sync::Arc;

use futures::future::join_all;

use super::{event::EventSender, protection::ProtectionRecord};
use assay_aws::{
    cloud::{Cloud, CloudError, CloudErrorKind, CloudFactory, CloudImage},
    registry::ProtectionOrigin,
};
use assay_model::{AccountId, AmiRecord, AmiRef, ImageName, UndecidedKind, evidence::UndecidedReason, tags};

/// An AMI that was looked at.
pub(crate) struct AdmittedImage {
    /// Where and which.
    pub ami: AmiRef,
    /// What EC2 said of it; absent where it could not be seen.
    pub image: Option<CloudImage>,
    /// How it is protected; absent where protection was not asked for, or denied.
    pub protection: Option<ProtectionOrigin>,
    /// Why it cannot be tested; absent where it can.
    pub refused: Option<UndecidedReason>,
    /// Its region's client.
    pub cloud: Arc<dyn Cloud>,
}

impl AdmittedImage {
    /// The facts for evidence and manifest; absent where the AMI could not be seen or has an architecture that assay does not know.
    pub(crate) fn record(&self) -> Option<AmiRecord> {
        let image = self.image.as_ref()?;
        Some(AmiRecord {
            ami: self.ami.clone(),
            architecture: image.architecture?,
            name: image.name.clone(),
            owner: image.owner.clone(),
            created_at: image.created_at.clone(),
            snapshots: image.block_devices.iter().filter_map(|d| d.snapshot.clone()).collect(),
        })
    }
}

/// Describes every AMI, all at once; with `protect`, turns deregistration protection on as the very first change, before the account is even
/// known, and notes it there. `own`: an AMI of another account is refused (Packer's artifact must be the caller's).
pub(super) async fn admit(
    factory: &dyn CloudFactory,
    amis: &[AmiRef],
    protect: Option<&ProtectionRecord>,
    own: bool,
    events: &EventSender,
) -> (Vec<AdmittedImage>, Option<AccountId>) {
    let seen = join_all(amis.iter().map(|ami| look_at(factory.region(&ami.region), ami, protect, events)));
    let (mut admitted, caller) = futures::join!(seen, factory.caller_account());
    let account = match caller {
        Ok(account) => Some(account),
        Err(error) => {
            for one in admitted.iter_mut().filter(|a| a.refused.is_none()) {
                one.refused = Some(undecided(&error));
            }
            None
        }
    };
    if let (true, Some(account)) = (own, &account) {
        admitted.iter_mut().for_each(|one| refuse_foreign(one, account));
    }
    (admitted, account)
}

async fn look_at(
    cloud: Arc<dyn Cloud>,
    ami: &AmiRef,
    protect: Option<&ProtectionRecord>,
    events: &EventSender,
) -> AdmittedImage {
    let (image, refused) = match cloud.describe_images(std::slice::from_ref(&ami.id)).await {
        Ok(mut images) if !images.is_empty() => {
            let image = images.swap_remove(0);
            let refused = unfit(&image);
            (Some(image), refused)
        }
        Ok(_) => (None, Some(not_there(ami))),
        Err(error) if error.kind == CloudErrorKind::NotFound => (None, Some(not_there(ami))),
        Err(error) => (None, Some(undecided(&error))),
    };
    let protection = match protect {
        Some(record) => protect_one(record, cloud.as_ref(), ami, image.as_ref(), events).await,
        None => None,
    };
    AdmittedImage { ami: ami.clone(), image, protection, refused, cloud }
}

/// Protects even what could not be described (a throttled or failing API must not cost the AMI); such an AMI is undecided, so nothing of ours will
/// lift that protection again.
async fn protect_one(
    record: &ProtectionRecord,
    cloud: &dyn Cloud,
    ami: &AmiRef,
    image: Option<&CloudImage>,
    events: &EventSender,
) -> Option<ProtectionOrigin> {
    match record.protect(cloud, ami, image).await {
        Ok(protection) => Some(protection),
        Err(error) => {
            events.warn(format!(
                "{ami} could not be protected from deregistration ({error}): if testing fails it is kept only by a second \
                 post-processor chain, post-processor \"manifest\" {{}}; to cure it, allow ec2:EnableImageDeregistrationProtection"
            ));
            None
        }
    }
}

/// Refuses AMIs whose own tag names another image line than the one they are to be tested as.
pub(super) fn of_image(mut admitted: Vec<AdmittedImage>, image: Option<&ImageName>) -> Vec<AdmittedImage> {
    let Some(image) = image else { return admitted };
    for one in &mut admitted {
        let tagged =
            one.image.as_ref().and_then(|i| i.tags.get(tags::IMAGE)).filter(|tag| tag.as_str() != image.as_str());
        if let (Some(other), None) = (tagged, &one.refused) {
            let reason = format!(
                "{} is tagged {}={other:?}, but it was to be tested as {:?}",
                one.ami,
                tags::IMAGE,
                image.as_str()
            );
            one.refused = Some(UndecidedReason { kind: UndecidedKind::Configuration, reason });
        }
    }
    admitted
}

fn not_there(ami: &AmiRef) -> UndecidedReason {
    UndecidedReason {
        kind: UndecidedKind::Credentials,
        reason: format!(
            "{ami} cannot be seen with these credentials: are they of the account that Packer built in? \
             Check profile, access_key, assume_role and AWS_* variables of assay against those of the builder"
        ),
    }
}

fn unfit(image: &CloudImage) -> Option<UndecidedReason> {
    let reason = if image.platform.as_deref().is_some_and(|p| p.eq_ignore_ascii_case("windows")) {
        format!("{} is a Windows image; assay tests over SSH only", image.id)
    } else if image.architecture.is_none() {
        format!("{} has an architecture that assay does not know; it knows x86_64 and arm64", image.id)
    } else if image.state != "available" {
        format!("{} is {}, not available", image.id, image.state)
    } else {
        return None;
    };
    Some(UndecidedReason { kind: UndecidedKind::Configuration, reason })
}

fn refuse_foreign(one: &mut AdmittedImage, account: &AccountId) {
    let Some(image) = &one.image else { return };
    if image.owner != *account && one.refused.is_none() {
        one.refused = Some(UndecidedReason {
            kind: UndecidedKind::Credentials,
            reason: format!(
                "{} belongs to account {}, but assay's credentials are of account {account}: give assay the builder's credentials",
                one.ami, image.owner
            ),
        });
    }
}

/// A cloud's error as the reason why a target is undecided.
pub(super) fn undecided(error: &CloudError) -> UndecidedReason {
    let cure = match error.kind {
        CloudErrorKind::Throttled => "; run assay validate on it later",
        CloudErrorKind::NoCapacity => "; try another instance_type or subnet_id",
        CloudErrorKind::Credentials => "; renew the credentials",
        CloudErrorKind::Denied => "; allow this action to the role that assay runs as",
        _ => "",
    };
    UndecidedReason { kind: error.kind.undecided(), reason: format!("{error}{cure}") }
}
