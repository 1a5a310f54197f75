//! One difference between lock and cloud. It owns its name for programs, its words for people, whether `--repair` mends it, and the cure where it does
//! not.

use std::fmt;

use assay_aws::cloud::ImageSharing;
use assay_model::{AmiRef, Architecture, ImageName, ImageState, Region, RunId};

/// A difference, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusDrift {
    /// The image line.
    pub image: ImageName,
    /// The run that it is about.
    pub run: Option<RunId>,
    /// The AMI that it is about.
    pub ami: Option<AmiRef>,
    /// The region that it is in; none: it is in git.
    pub region: Option<Region>,
    /// What differs.
    pub finding: StatusFinding,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatusFinding {
    /// The AMI does not exist.
    Gone {
        /// Its state by the lock.
        state: ImageState,
        /// It was a copy that promotion makes again.
        is_copy: bool,
    },
    /// Nobody can launch it.
    Disabled,
    /// It is neither available nor disabled.
    NotAvailable {
        /// EC2's word.
        found: String,
    },
    /// Name, owner, creation date or snapshots are not those that were recorded: it is another AMI.
    NotTheRecorded {
        /// Which of them.
        what: &'static str,
        /// What EC2 says.
        found: String,
        /// What the lock says.
        wanted: String,
    },
    /// A tag of ours differs, on the AMI or one of its snapshots.
    Retagged {
        /// The AMI's or the snapshot's id.
        resource: String,
        /// The tag.
        key: String,
        /// Its value; none: no such tag.
        found: Option<String>,
        /// What the lock asks for.
        wanted: String,
    },
    /// A snapshot carries none of our tags: it was deleted, or they were.
    SnapshotUnmarked {
        /// The snapshot.
        snapshot: String,
    },
    /// Gold is not protected from deregistration.
    Unprotected,
    /// Gold is deprecated.
    Deprecated {
        /// Since when.
        since: String,
    },
    /// A revoked AMI is not deprecated.
    NotDeprecated,
    /// Everybody may launch it.
    Public,
    /// Somebody may launch it whom `distribution` does not name.
    SharedBeyond {
        /// Whom.
        whom: ImageSharing,
    },
    /// Somebody may not launch it whom `distribution` names.
    NotShared {
        /// Whom.
        whom: ImageSharing,
    },
    /// It says that it is gold or vetted, and the lock does not know it.
    Planted {
        /// What it says.
        claims: ImageState,
    },
    /// Gold has no AMI where assay.hcl wants one.
    CopyMissing {
        /// For what.
        architecture: Architecture,
        /// Whether promotion copies it there: `distribution.ami_regions` names the region, and the run has such an AMI. Else only a build makes it.
        copied: bool,
    },
    /// The parameter does not hold the gold AMI's id.
    Parameter {
        /// Its name.
        name: String,
        /// Its value; none: there is no such parameter.
        found: Option<String>,
        /// The gold AMI's id.
        wanted: String,
    },
    /// A projection on the protected branch does not say what is gold.
    Projection {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

impl StatusFinding {
    /// The name that programs read; it stays.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "gone",
            Self::Disabled => "disabled",
            Self::NotAvailable { .. } => "not-available",
            Self::NotTheRecorded { .. } => "not-the-recorded",
            Self::Retagged { .. } => "retagged",
            Self::SnapshotUnmarked { .. } => "snapshot-unmarked",
            Self::Unprotected => "unprotected",
            Self::Deprecated { .. } => "deprecated",
            Self::NotDeprecated => "not-deprecated",
            Self::Public => "public",
            Self::SharedBeyond { .. } => "shared-beyond",
            Self::NotShared { .. } => "not-shared",
            Self::Planted { .. } => "planted",
            Self::CopyMissing { .. } => "copy-missing",
            Self::Parameter { .. } => "parameter",
            Self::Projection { .. } => "projection",
        }
    }

    /// Whether `--repair` mends it.
    pub(crate) fn is_mendable(&self) -> bool {
        match self {
            Self::Retagged { .. }
            | Self::SnapshotUnmarked { .. }
            | Self::Unprotected
            | Self::Deprecated { .. }
            | Self::NotDeprecated
            | Self::SharedBeyond { .. }
            | Self::NotShared { .. }
            | Self::Parameter { .. } => true,
            Self::Gone { .. }
            | Self::Disabled
            | Self::NotAvailable { .. }
            | Self::NotTheRecorded { .. }
            | Self::Public
            | Self::Planted { .. }
            | Self::CopyMissing { .. }
            | Self::Projection { .. } => false,
        }
    }
}

impl StatusDrift {
    /// What to do about it; none where `--repair` does it.
    pub(crate) fn cure(&self) -> Option<String> {
        let image = &self.image;
        let (region, id) = match &self.ami {
            Some(ami) => (ami.region.to_string(), ami.id.to_string()),
            None => (self.region.as_ref().map_or(String::new(), Region::to_string), String::new()),
        };
        let aws = |call: &str| format!("aws ec2 {call} --region {region} --image-id {id}");
        let replace =
            || format!("assay rollback --image {image}, or build it anew: assay build --image {image} --force {image}");
        Some(match &self.finding {
            StatusFinding::Gone { state: ImageState::Gold, is_copy: true } => {
                format!("assay promote --image {image} --to gold")
            }
            StatusFinding::Gone { state: ImageState::Gold, .. } | StatusFinding::NotTheRecorded { .. } => replace(),
            StatusFinding::Gone { .. } => {
                let run = self.run.map_or("RUN".to_owned(), |run| run.to_string());
                format!("assay revoke --image {image} --run {run} --reason \"its AMI is gone\"")
            }
            StatusFinding::Disabled => format!("{}, if it was not meant", aws("enable-image")),
            StatusFinding::NotAvailable { .. } => "look at it in EC2; where it failed: ".to_owned() + &replace(),
            StatusFinding::Public => aws("modify-image-attribute")
                .replace("modify-image-attribute", "modify-image-attribute --launch-permission 'Remove=[{Group=all}]'"),
            StatusFinding::Planted { .. } => {
                format!("find out who tagged it; then {}", aws("deregister-image"))
            }
            StatusFinding::CopyMissing { copied: false, .. } => {
                format!("assay build --image {image} --force {image}, with a template that makes it there")
            }
            StatusFinding::CopyMissing { copied: true, .. } | StatusFinding::Projection { .. } => {
                format!("assay promote --image {image} --to gold")
            }
            _ => return None,
        })
    }

    /// Where it is: an AMI, a region, or git.
    pub(crate) fn place(&self) -> String {
        match (&self.ami, &self.region) {
            (Some(ami), _) => ami.to_string(),
            (None, Some(region)) => region.to_string(),
            (None, None) => "git".to_owned(),
        }
    }
}

impl fmt::Display for StatusFinding {
    /// A fragment for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.as_ref().map_or("missing".to_owned(), |value| format!("{value:?}"));
        match self {
            Self::Gone { state, .. } => write!(f, "does not exist; the lock says {state}"),
            Self::Disabled => f.write_str("is disabled: nobody can launch it"),
            Self::NotAvailable { found } => write!(f, "is {found:?}, not available"),
            Self::NotTheRecorded { what, found, wanted } => {
                write!(f, "is not what was tested: {what} is {found:?}, was recorded as {wanted:?}")
            }
            Self::Retagged { resource, key, found, wanted } => {
                write!(f, "{resource}: tag {key} is {}, must be {wanted:?}", shown(found))
            }
            Self::SnapshotUnmarked { snapshot } => {
                write!(f, "{snapshot} carries none of its tags: it was deleted, or they were")
            }
            Self::Unprotected => f.write_str("is gold and not protected from deregistration"),
            Self::Deprecated { since } => write!(f, "is gold and deprecated since {since}"),
            Self::NotDeprecated => f.write_str("is revoked and not deprecated"),
            Self::Public => f.write_str("is public: everybody may launch it"),
            Self::SharedBeyond { whom } => write!(f, "is shared with {}, whom nothing names", names(whom)),
            Self::NotShared { whom } => write!(f, "is not shared with {}", names(whom)),
            Self::Planted { claims } => write!(f, "says that it is {claims}, and the lock does not know it"),
            Self::CopyMissing { architecture, .. } => write!(f, "has no gold AMI for {architecture}"),
            Self::Parameter { name, found, wanted } => {
                write!(f, "parameter {name} is {}, must be {wanted:?}", shown(found))
            }
            Self::Projection { file, why } => write!(f, "{file}: {why}"),
        }
    }
}

fn names(sharing: &ImageSharing) -> String {
    let users = sharing.users.iter().map(ToString::to_string);
    users.chain(sharing.org_arns.iter().cloned()).chain(sharing.ou_arns.iter().cloned()).collect::<Vec<_>>().join(", ")
}
