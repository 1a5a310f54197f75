//! The AMIs and snapshots that stay: listing, copying, sharing and retiring them, and who uses them. It owns the values and the trait [`ImageEstate`], a part of
//! [`super::Cloud`]. It refuses to decide what may go: that is its callers' business, and each verb does what it is told, once.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::{CloudImage, CloudResult};
use assay_model::{AccountId, AmiId, AmiRef};

/// A copy to make in the region whose [`ImageEstate`] is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyImage {
    /// What to copy, and from where.
    pub source: AmiRef,
    /// The copy's name.
    pub name: String,
    /// The copy's description.
    pub description: String,
    /// Idempotency token, at most 64 ASCII characters: the same token gives the copy that it made before.
    pub client_token: String,
    /// Whether the copy's snapshots are encrypted, also where the source's are not. Encrypted ones stay encrypted either way.
    pub encrypted: bool,
    /// The key that encrypts them, in the copy's region; EC2's default key where none is named.
    pub kms_key_id: Option<String>,
    /// On the copy and on its snapshots, set in the call that makes them.
    pub tags: BTreeMap<String, String>,
}

/// Who may launch an AMI beside its owner. It can ask for accounts and organisations only: assay never makes an AMI public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSharing {
    /// Accounts.
    pub users: Vec<AccountId>,
    /// ARNs of organisations.
    pub org_arns: Vec<String>,
    /// ARNs of organisational units.
    pub ou_arns: Vec<String>,
}

impl ImageSharing {
    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.org_arns.is_empty() && self.ou_arns.is_empty()
    }
}

/// What EC2 says of who may launch an AMI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedWith {
    /// Accounts and organisations.
    pub sharing: ImageSharing,
    /// Whether everybody may (group `all`).
    pub public: bool,
}

impl SharedWith {
    /// Whether only the owner may.
    pub fn nobody(&self) -> bool {
        !self.public && self.sharing.is_empty()
    }
}

/// What DescribeSnapshots says of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EbsSnapshot {
    /// `snap-…`.
    pub id: String,
    /// The owner's account, empty where EC2 leaves it out.
    pub owner: String,
    /// `pending`, `completed`, `error`, ….
    pub state: String,
    /// Description.
    pub description: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Size of its volume in GiB.
    pub volume_size: Option<i32>,
    /// StartTime, seconds since the epoch.
    pub started_at: Option<i64>,
    /// Every tag.
    pub tags: BTreeMap<String, String>,
}

/// What may launch an AMI, or runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UseKind {
    /// An instance in any state but terminated.
    Instance,
    /// One version of a launch template.
    LaunchTemplateVersion,
    /// An auto-scaling launch configuration.
    LaunchConfiguration,
    /// An auto-scaling group, by its launch configuration, its template or an override.
    AutoScalingGroup,
    /// An override of an EC2 Fleet.
    Fleet,
    /// A launch specification of a Spot Fleet request, or one of its overrides.
    SpotFleetRequest,
    /// A spot instance request that is open or active.
    SpotInstanceRequest,
}

impl UseKind {
    /// In words, without an article: `instance`, `launch template version`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::LaunchTemplateVersion => "launch template version",
            Self::LaunchConfiguration => "launch configuration",
            Self::AutoScalingGroup => "auto-scaling group",
            Self::Fleet => "fleet",
            Self::SpotFleetRequest => "spot fleet request",
            Self::SpotInstanceRequest => "spot instance request",
        }
    }
}

/// One use of an AMI.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageUse {
    /// What uses it.
    pub kind: UseKind,
    /// Its id or name.
    pub id: String,
    /// More: an instance's state, a template's version, why it is not known which AMI is meant.
    pub detail: String,
}

impl std::fmt::Display for ImageUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = if self.detail.is_empty() { "" } else { " " };
        write!(f, "{} {}{space}{}", self.kind.as_str(), self.id, self.detail)
    }
}

/// Who uses which AMI in one region and account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageUses {
    /// By AMI; only those that were asked for. No entry: not used by anything that EC2 lists for this account.
    pub found: BTreeMap<AmiId, Vec<ImageUse>>,
    /// Uses of an AMI that could not be learned, such as an SSM parameter that cannot be read: each may mean any AMI of the region.
    pub unknown: Vec<ImageUse>,
}

/// AMIs and snapshots in one region. A call that names an AMI that is not there fails with [`super::CloudErrorKind::NotFound`].
pub trait ImageEstate: Send + Sync {
    /// DescribeImages: all of the caller's own with the tag `assay:managed` = `true`, disabled and deprecated ones included. Paged.
    /// An owner sees its deprecated AMIs either way; disabled ones only with IncludeDisabled (DescribeImages in the EC2 API reference).
    fn own_images(&self) -> BoxFuture<'_, CloudResult<Vec<CloudImage>>>;
    /// DescribeImages of the caller's own that have this snapshot in their mapping, disabled ones included.
    fn images_of_snapshot<'a>(&'a self, snapshot: &'a str) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>>;
    /// CopyImage into this region; answers at once, the copy is `pending` then. Idempotent by the client token ("Ensuring idempotency in Amazon
    /// EC2 API requests" in the EC2 developer guide). Tags go on copy and snapshots by TagSpecifications; the source's tags are not copied.
    fn copy_image<'a>(&'a self, copy: &'a CopyImage) -> BoxFuture<'a, CloudResult<AmiId>>;
    /// ModifyImageAttribute: adds launch permissions. Nobody to add: no call.
    fn share_image<'a>(&'a self, id: &'a AmiId, with: &'a ImageSharing) -> BoxFuture<'a, CloudResult<()>>;
    /// ModifyImageAttribute: takes launch permissions away. Nobody to remove: no call.
    fn unshare_image<'a>(&'a self, id: &'a AmiId, from: &'a ImageSharing) -> BoxFuture<'a, CloudResult<()>>;
    /// DescribeImageAttribute `launchPermission`; the owner's right only.
    fn image_sharing<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<SharedWith>>;
    /// ModifySnapshotAttribute: lets accounts make volumes of it. Snapshots know accounts only, no organisations. Nobody: no call.
    fn share_snapshot<'a>(&'a self, id: &'a str, users: &'a [AccountId]) -> BoxFuture<'a, CloudResult<()>>;
    /// DescribeSnapshots of the caller's own by tag (all pairs must match) — empty filter: none. Paged.
    fn find_snapshots<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<EbsSnapshot>>>;
    /// DescribeSnapshots of the caller's own by id; those that are not there are left out. No ids: no call. Paged.
    fn describe_snapshots<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<EbsSnapshot>>>;
    /// DeleteSnapshot. One that a registered AMI holds is refused with `InUse` (`InvalidSnapshot.InUse`).
    fn delete_snapshot<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// EnableImageDeprecation at an RFC 3339 time, which EC2 rounds to the minute and wants in the future, at most ten years ahead. A past time is
    /// `Invalid`. A deprecated AMI stays usable; accounts that it is shared with no longer see it in lists.
    fn deprecate_image<'a>(&'a self, id: &'a AmiId, at: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// DisableImageDeprecation.
    fn cancel_deprecation<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>>;
    /// DisableImage: nobody can launch it, all launch permissions end, EnableImage undoes the former and not the latter ("Disable an Amazon EC2 AMI"
    /// in the EC2 user guide). A public AMI is refused.
    fn disable_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>>;
    /// EnableImage: `available` again.
    fn enable_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>>;
    /// DeregisterImage, without its snapshots. A protected AMI is refused.
    fn deregister_image<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>>;
    /// Everything of this account and region that uses or may launch one of these AMIs: instances in any state but terminated, every version of every
    /// launch template, launch configurations, auto-scaling groups, fleets and spot requests. A `resolve:ssm:` in place of an id is resolved by
    /// GetParameter ("Use a Systems Manager parameter instead of an AMI ID" in the EC2 user guide). An error: nothing is known, for any of them.
    fn uses_of_images<'a>(&'a self, ids: &'a [AmiId]) -> BoxFuture<'a, CloudResult<ImageUses>>;
    /// DescribeImageAttribute `lastLaunchedTime`, RFC 3339: when any account last launched it, known a day late; `None` where it never was ("Check
    /// when an Amazon EC2 AMI was last used" in the EC2 user guide). The only sign of use by other accounts.
    fn image_last_launched<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<Option<String>>>;
}
