//! AMIs that stay, and the other services, in the fake cloud. It owns what it keeps of them ([`FakeHoldings`]) and EC2's rules as far as promoting and pruning
//! meet them: one token is one copy, disabling ends the sharing, what is protected is not deregistered, what an AMI holds is not deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future::BoxFuture;

use super::{FakeCloud, FakeState, FakeTags, region::FakeRegion, region::matches};
use crate::cloud::{
    CloudErrorKind, CloudImage, CloudResult, CopyImage, DryRun, DryRunAnswer, EbsSnapshot, ImageEstate, ImageSharing,
    ImageUses, RegionServices, SharedWith,
};
use assay_model::{AccountId, AmiId, Region, tags};

/// What signs a digest.
type FakeSigner = Arc<dyn Fn(&[u8; 32]) -> Vec<u8> + Send + Sync>;

/// What one region holds beside instances.
#[derive(Clone, Default)]
pub struct FakeHoldings {
    /// By id. An AMI's snapshots need no entry; one that has an entry is `InUse` while the AMI is registered.
    pub snapshots: BTreeMap<String, EbsSnapshot>,
    /// Accounts that may make volumes, by snapshot.
    pub volume_permissions: BTreeMap<String, BTreeSet<AccountId>>,
    /// By AMI.
    pub sharing: BTreeMap<AmiId, SharedWith>,
    /// By AMI.
    pub last_launched: BTreeMap<AmiId, String>,
    /// What `uses_of_images` tells, beside the instances of the stock.
    pub uses: ImageUses,
    /// SSM parameters.
    pub parameters: BTreeMap<String, String>,
    /// KMS keys by the name that they are asked for: public key in DER, and what signs.
    pub keys: BTreeMap<String, (Vec<u8>, Option<FakeSigner>)>,
    /// Standard vCPUs.
    pub vcpu_quota: Option<f64>,
    /// Calls by EC2's name that a dry run is denied.
    pub denied: BTreeSet<String>,
    /// Copies by token.
    copies: BTreeMap<String, AmiId>,
    /// How many of the next copies fail after the call.
    pub failing_copies: usize,
}

impl FakeHoldings {
    /// Adds a KMS key.
    pub fn add_key(
        &mut self,
        name: &str,
        public: Vec<u8>,
        sign: impl Fn(&[u8; 32]) -> Vec<u8> + Send + Sync + 'static,
    ) {
        self.keys.insert(name.to_owned(), (public, Some(Arc::new(sign))));
    }
}

impl FakeCloud {
    /// Reads or changes what `region` holds beside instances.
    pub fn holdings<T>(&self, region: &Region, edit: impl FnOnce(&mut FakeHoldings) -> T) -> T {
        edit(self.lock().holdings.entry(region.clone()).or_default())
    }

    /// An AMI as it is now.
    pub fn image(&self, region: &Region, id: &AmiId) -> Option<CloudImage> {
        self.lock().images.get(&(region.clone(), id.clone())).cloned()
    }

    /// Takes an AMI away, whatever holds it.
    pub fn remove_image(&self, region: &Region, id: &AmiId) {
        self.lock().images.remove(&(region.clone(), id.clone()));
    }

    /// Every AMI of a region.
    pub fn images(&self, region: &Region) -> Vec<CloudImage> {
        let state = self.lock();
        state.images.iter().filter(|((at, _), _)| at == region).map(|(_, image)| image.clone()).collect()
    }
}

impl FakeState {
    fn held(&mut self, region: &Region) -> &mut FakeHoldings {
        self.holdings.entry(region.clone()).or_default()
    }

    fn image_mut(&mut self, region: &Region, id: &AmiId) -> Result<&mut CloudImage, CloudErrorKind> {
        self.images.get_mut(&(region.clone(), id.clone())).ok_or(CloudErrorKind::NotFound)
    }

    fn with_snapshot(&self, region: &Region, snapshot: &str) -> Vec<CloudImage> {
        let holds = |image: &CloudImage| image.block_devices.iter().any(|d| d.snapshot.as_deref() == Some(snapshot));
        let here = self.images.iter().filter(|((at, _), image)| at == region && holds(image));
        here.map(|(_, image)| image.clone()).collect()
    }

    fn copy(&mut self, region: &Region, copy: &CopyImage) -> Result<AmiId, CloudErrorKind> {
        if let Some(earlier) = self.held(region).copies.get(&copy.client_token) {
            return Ok(earlier.clone());
        }
        let source = self.image_mut(&copy.source.region, &copy.source.id)?.clone();
        if source.state != "available" {
            return Err(CloudErrorKind::Invalid);
        }
        if self.images.iter().any(|((at, _), image)| at == region && image.name == copy.name) {
            return Err(CloudErrorKind::Duplicate);
        }
        let id: AmiId = self.number("ami").parse().map_err(|_| CloudErrorKind::Other)?;
        let mut made = CloudImage { id: id.clone(), name: copy.name.clone(), tags: copy.tags.clone(), ..source };
        made.deregistration_protected = false;
        let failing = &mut self.held(region).failing_copies;
        if *failing > 0 {
            *failing -= 1;
            "failed".clone_into(&mut made.state);
        }
        made.attributes.description.clone_from(&copy.description);
        made.attributes.source_image_id = copy.source.id.to_string();
        made.attributes.source_image_region = copy.source.region.to_string();
        made.attributes.deprecation_time.clear();
        for device in &mut made.block_devices {
            let snapshot = self.number("snap");
            let (id, tags) = (snapshot.clone(), copy.tags.clone());
            let state = "completed".to_owned();
            let kept = EbsSnapshot { id, tags, state, encrypted: copy.encrypted, ..EbsSnapshot::default() };
            self.held(region).snapshots.insert(snapshot.clone(), kept);
            device.snapshot = Some(snapshot);
        }
        self.images.insert((region.clone(), id.clone()), made);
        self.held(region).copies.insert(copy.client_token.clone(), id.clone());
        Ok(id)
    }

    fn deregister(&mut self, region: &Region, id: &AmiId) -> Result<(), CloudErrorKind> {
        if self.image_mut(region, id)?.deregistration_protected {
            return Err(CloudErrorKind::Denied);
        }
        self.images.remove(&(region.clone(), id.clone()));
        Ok(())
    }

    fn disable(&mut self, region: &Region, id: &AmiId) -> Result<(), CloudErrorKind> {
        let shared = self.held(region).sharing.get(id).cloned().unwrap_or_default();
        if shared.public {
            return Err(CloudErrorKind::Other);
        }
        "disabled".clone_into(&mut self.image_mut(region, id)?.state);
        self.held(region).sharing.remove(id);
        Ok(())
    }

    /// What the stock's living instances and the placed uses say.
    fn uses(&mut self, region: &Region, ids: &[AmiId]) -> ImageUses {
        let mut uses = self.held(region).uses.clone();
        for instance in self.stock(region).instances.values().filter(|i| i.told.state != "terminated") {
            if let Ok(image) = instance.told.image.parse() {
                let kind = crate::cloud::UseKind::Instance;
                let (id, detail) = (instance.told.id.clone(), instance.told.state.clone());
                uses.found.entry(image).or_default().push(crate::cloud::ImageUse { kind, id, detail });
            }
        }
        uses.found.retain(|id, _| ids.contains(id));
        uses
    }
}

impl ImageEstate for FakeRegion {
    fn own_images(&self) -> BoxFuture<'_, CloudResult<Vec<CloudImage>>> {
        self.call("DescribeImages", "own", |state, region| {
            let managed = [(tags::MANAGED.to_owned(), "true".to_owned())];
            let here = state.images.iter().filter(|((at, _), image)| at == region && matches(&image.tags, &managed));
            Ok(here.map(|(_, image)| image.clone()).collect())
        })
    }

    fn images_of_snapshot<'a>(&'a self, snapshot: &'a str) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>> {
        self.call("DescribeImages", snapshot, move |state, region| Ok(state.with_snapshot(region, snapshot)))
    }

    fn copy_image<'a>(&'a self, copy: &'a CopyImage) -> BoxFuture<'a, CloudResult<AmiId>> {
        self.call("CopyImage", &copy.name, move |state, region| state.copy(region, copy))
    }

    fn share_image<'a>(&'a self, id: &'a AmiId, with: &'a ImageSharing) -> BoxFuture<'a, CloudResult<()>> {
        self.call("ModifyImageAttribute", id.as_str(), move |state, region| {
            state.image_mut(region, id)?;
            let has = &mut state.held(region).sharing.entry(id.clone()).or_default().sharing;
            has.users.extend(with.users.iter().filter(|u| !has.users.contains(u)).cloned().collect::<Vec<_>>());
            has.org_arns
                .extend(with.org_arns.iter().filter(|a| !has.org_arns.contains(a)).cloned().collect::<Vec<_>>());
            has.ou_arns.extend(with.ou_arns.iter().filter(|a| !has.ou_arns.contains(a)).cloned().collect::<Vec<_>>());
            Ok(())
        })
    }

    fn unshare_image<'a>(&'a self, id: &'a AmiId, from: &'a ImageSharing) -> BoxFuture<'a, CloudResult<()>> {
        self.call("ModifyImageAttribute", id.as_str(), move |state, region| {
            state.image_mut(region, id)?;
            let has = &mut state.held(region).sharing.entry(id.clone()).or_default().sharing;
            has.users.retain(|user| !from.users.contains(user));
            has.org_arns.retain(|arn| !from.org_arns.contains(arn));
            has.ou_arns.retain(|arn| !from.ou_arns.contains(arn));
            Ok(())
        })
    }

    fn image_sharing<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<SharedWith>> {
        self.call("DescribeImageAttribute", id.as_str(), move |state, region| {
            state.image_mut(region, id)?;
            Ok(state.held(region).sharing.get(id).cloned().unwrap_or_default())
        })
    }

    fn share_snapshot<'a>(&'a self, id: &'a str, users: &'a [AccountId]) -> BoxFuture<'a, CloudResult<()>> {
        self.call("ModifySnapshotAttribute", id, move |state, region| {
            let allowed = state.held(region).volume_permissions.entry(id.to_owned()).or_default();
            allowed.extend(users.iter().cloned());
            Ok(())
        })
    }

    fn find_snapshots<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<EbsSnapshot>>> {
        self.call("DescribeSnapshots", "", move |state, region| {
            let all = state.held(region).snapshots.values();
            Ok(all.filter(|snapshot| matches(&snapshot.tags, tags)).cloned().collect())
        })
    }

    fn describe_snapshots<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<EbsSnapshot>>> {
        self.call("DescribeSnapshots", "", move |state, region| {
            let all = &state.held(region).snapshots;
            Ok(ids.iter().filter_map(|id| all.get(id)).cloned().collect())
        })
    }

    fn delete_snapshot<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DeleteSnapshot", id, move |state, region| {
            if !state.with_snapshot(region, id).is_empty() {
                return Err(CloudErrorKind::InUse);
            }
            state.held(region).snapshots.remove(id).map(drop).ok_or(CloudErrorKind::NotFound)
        })
    }

    fn deprecate_image<'a>(&'a self, id: &'a AmiId, at: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("EnableImageDeprecation", id.as_str(), move |state, region| {
            at.clone_into(&mut state.image_mut(region, id)?.attributes.deprecation_time);
            Ok(())
        })
    }

    fn cancel_deprecation<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DisableImageDeprecation", id.as_str(), move |state, region| {
            state.image_mut(region, id)?.attributes.deprecation_time.clear();
            Ok(())
        })
    }

    fn disable_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DisableImage", id.as_str(), move |state, region| state.disable(region, id))
    }

    fn enable_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        self.call("EnableImage", id.as_str(), move |state, region| {
            "available".clone_into(&mut state.image_mut(region, id)?.state);
            Ok(())
        })
    }

    fn deregister_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DeregisterImage", id.as_str(), move |state, region| state.deregister(region, id))
    }

    fn uses_of_images<'a>(&'a self, ids: &'a [AmiId]) -> BoxFuture<'a, CloudResult<ImageUses>> {
        self.call("DescribeLaunchTemplates", "", move |state, region| Ok(state.uses(region, ids)))
    }

    fn image_last_launched<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<Option<String>>> {
        self.call("DescribeImageAttribute", id.as_str(), move |state, region| {
            state.image_mut(region, id)?;
            Ok(state.held(region).last_launched.get(id).cloned())
        })
    }
}

impl RegionServices for FakeRegion {
    fn get_parameter<'a>(&'a self, name: &'a str) -> BoxFuture<'a, CloudResult<Option<String>>> {
        self.call("GetParameter", name, move |state, region| Ok(state.held(region).parameters.get(name).cloned()))
    }

    fn put_parameter<'a>(&'a self, name: &'a str, value: &'a str, overwrite: bool) -> BoxFuture<'a, CloudResult<()>> {
        self.call("PutParameter", name, move |state, region| {
            let parameters = &mut state.held(region).parameters;
            if !overwrite && parameters.contains_key(name) {
                return Err(CloudErrorKind::Duplicate);
            }
            parameters.insert(name.to_owned(), value.to_owned());
            Ok(())
        })
    }

    fn kms_sign<'a>(&'a self, key: &'a str, digest: &'a [u8; 32]) -> BoxFuture<'a, CloudResult<Vec<u8>>> {
        self.call("Sign", key, move |state, region| {
            let known = state.held(region).keys.get(key).and_then(|(_, sign)| sign.clone());
            known.map(|sign| sign(digest)).ok_or(CloudErrorKind::NotFound)
        })
    }

    fn kms_public_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, CloudResult<Vec<u8>>> {
        self.call("GetPublicKey", key, move |state, region| {
            state.held(region).keys.get(key).map(|(public, _)| public.clone()).ok_or(CloudErrorKind::NotFound)
        })
    }

    fn vcpu_quota(&self) -> BoxFuture<'_, CloudResult<Option<f64>>> {
        self.call("GetServiceQuota", "", |state, region| Ok(state.held(region).vcpu_quota))
    }

    fn offered_types<'a>(&'a self, types: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<String>>> {
        self.call("DescribeInstanceTypeOfferings", "", |_, _| Ok(types.to_vec()))
    }

    fn dry_run<'a>(&'a self, call: &'a DryRun) -> BoxFuture<'a, CloudResult<DryRunAnswer>> {
        self.call("DryRun", call.action(), move |state, region| {
            let denied = state.held(region).denied.contains(call.action());
            let words = format!("UnauthorizedOperation: not authorized to perform: ec2:{}", call.action());
            Ok(if denied { DryRunAnswer::Denied(words) } else { DryRunAnswer::Allowed })
        })
    }
}

/// Tags in the shape of the stock.
pub fn tag_set(tags: &[(&str, &str)]) -> FakeTags {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// An AMI with a snapshot for each of `snapshots`.
pub fn sample_image(id: &str, snapshots: &[&str]) -> super::super::CloudImage {
    super::super::CloudImage {
        id: id.parse().expect("an AMI id"),
        name: "base".to_owned(),
        owner: "123456789012".parse().expect("an account"),
        created_at: "2026-11-22T00:00:00Z".to_owned(),
        state: "available".to_owned(),
        architecture: Some(assay_model::Architecture::X86_64),
        root_device_name: Some("/dev/xvda".to_owned()),
        block_devices: snapshots
            .iter()
            .map(|snapshot| super::super::BlockDevice {
                device_name: format!("/dev/{snapshot}"),
                snapshot: Some((*snapshot).to_owned()),
                delete_on_termination: true,
            })
            .collect(),
        tags: Default::default(),
        deregistration_protected: false,
        platform: None,
        imds_support: None,
        boot_mode: None,
        attributes: Default::default(),
    }
}
